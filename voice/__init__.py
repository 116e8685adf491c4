"""Ears -> turn -> mind -> mouth. Imports `llm` and `models` only; loads no model library by itself."""
