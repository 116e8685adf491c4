"""How model families write tool calls: one format, one file."""
