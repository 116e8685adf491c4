"""HTTP, WebSockets, pages, accounts, command line. The top layer."""
