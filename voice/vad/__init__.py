"""Voice activity detectors, one file each with a SPEC."""
