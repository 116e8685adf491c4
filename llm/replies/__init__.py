"""What a model wrote, taken apart: words, reasoning, tool calls."""
