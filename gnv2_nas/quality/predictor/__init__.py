"""Accuracy predicted from an architecture alone."""
