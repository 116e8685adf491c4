"""Recognisers, one file each with a SPEC."""
