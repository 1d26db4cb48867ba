"""Rewriting a graph for a runtime: the same network, in operators that run faster."""
