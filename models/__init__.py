"""The bottom layer: model files, where they lie, what is in them. Imports nothing of ours."""
