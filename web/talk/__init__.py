"""The terminal client: a real session from a sound file or a microphone, over the same socket as everybody."""
