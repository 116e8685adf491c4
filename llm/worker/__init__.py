"""The worker process: one model behind OpenAI-compatible HTTP on a loopback port."""
