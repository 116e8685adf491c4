"""Speaking to servers elsewhere: connections, wire formats, what they answer. One server each is in llm/backends/."""
