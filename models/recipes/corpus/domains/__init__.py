"""One file per domain, found by folder: each exports `WEIGHT` and `dialogues(rng)`."""
