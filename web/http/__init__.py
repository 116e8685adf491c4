"""What endpoints share: bodies read within limits, streams of events, WebSockets, and clients that leave."""
