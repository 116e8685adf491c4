"""JSON schemas of clients: made plain, refused where nothing can obey them, and turned into grammars. Pure."""
