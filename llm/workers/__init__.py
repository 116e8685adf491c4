"""Worker processes: how they are launched, kept and ended."""
