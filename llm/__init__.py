"""Language models: slots, engines, backends, router. Imports `models` only."""
