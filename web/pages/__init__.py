"""The pages: which URL gives which of the static files."""
