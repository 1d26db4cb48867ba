"""Passes that rewrite a graph into operators that run faster; the outputs stay the same."""
