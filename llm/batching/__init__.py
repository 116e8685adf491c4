"""Continuous batching: requests, sequences and steps of one decoder."""
