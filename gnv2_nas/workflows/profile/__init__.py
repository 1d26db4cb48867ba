"""Profiling networks: their latency, layers and memory on a device."""
