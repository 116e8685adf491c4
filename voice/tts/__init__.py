"""Voices, one file each with a SPEC."""
