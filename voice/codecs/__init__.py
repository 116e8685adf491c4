"""Audio formats, one file each with a SPEC: bytes to samples and back."""
