"""What pocketsphinx's recogniser is made of: features, acoustic model, short phrases and their scores; numpy."""
