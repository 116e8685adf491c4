"""The turn machine and what it decides with. Everything here is pure: `machine.py` is the way in."""
