"""Wake word engines, one file each with a SPEC."""
