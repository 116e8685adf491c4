"""Parley-mini: a llama of a few million parameters, trained from scratch on our own corpus."""
