"""What commands share: the parser of the command line, tables and texts for a terminal, the client of the own API."""
