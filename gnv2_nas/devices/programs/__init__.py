"""Benchmark programs that a device profile names: how each is called, and what it prints."""
