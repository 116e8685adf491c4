"""Tools that the server runs in a conversation, one file each with a SPEC; `toolbox.py` chooses what is offered."""
