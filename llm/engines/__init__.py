"""What runs a model in a worker: one engine, one file with a SPEC."""
