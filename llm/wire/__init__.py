"""OpenAI's wire types. A leaf: imports nothing of ours."""
