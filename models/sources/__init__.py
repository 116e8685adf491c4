"""Where models come from: each file turns what a person writes into files to download."""
