"""The commands of `parley`: one command, one file."""
