"""When somebody has finished speaking: detectors, one file each with a SPEC."""
