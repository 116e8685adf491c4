"""WebSocket endpoints: one protocol, one file."""
