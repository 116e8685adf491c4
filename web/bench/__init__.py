"""Measuring how fast a server answers: the load, and how it is shown."""
