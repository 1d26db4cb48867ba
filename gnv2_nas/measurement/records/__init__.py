"""Measurements as they are kept: the record, its store, and what is read from it."""
