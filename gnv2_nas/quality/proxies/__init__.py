"""Data-free scores: they need neither images nor training."""
