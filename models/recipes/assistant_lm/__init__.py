"""The language model of the pocketsphinx recogniser: assistant requests over a floor of general English."""
