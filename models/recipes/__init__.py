"""Recipes: how each bundled model file is made, re-runnable on two cores."""
