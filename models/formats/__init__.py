"""Readers of model files: what a file is, read from its own bytes. One format, one file with a SPEC."""
