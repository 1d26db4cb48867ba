"""Inference engines, each behind one protocol (`base`), and what they are checked against."""
