"""The worker process around one recogniser or voice, with OpenAI-compatible HTTP on loopback."""
