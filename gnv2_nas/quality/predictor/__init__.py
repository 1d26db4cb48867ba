"""Accuracies predicted from an architecture alone."""
