"""The corpus of short spoken-style dialogues that our own models learn.

Written by this package alone: templates, word lists and a few hundred facts, no outside text.
"""
