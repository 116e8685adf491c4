"""HTTP endpoints: one resource, one file with ROUTES."""
