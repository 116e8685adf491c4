"""Tables of facts, written from general knowledge."""
