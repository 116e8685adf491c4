"""Sessions written down, and played again."""
