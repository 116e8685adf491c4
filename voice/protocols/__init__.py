"""What clients speak to a session: frames to events and back. One protocol, one codec on the port of `port.py`."""
