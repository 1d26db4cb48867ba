"""Latency predicted from a network's graph. A prediction is never called a measurement."""
