"""Live sessions: the shell that carries events in and actions out, its connections, and the hub of all of them."""
