"""The process that serves: HTTP on the socket, Ctrl-C, the run file, what is checked before it listens."""
