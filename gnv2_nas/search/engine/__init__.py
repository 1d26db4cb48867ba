"""Scoring in several processes, none of which can end the search."""
