"""Scores that need neither images nor training."""
