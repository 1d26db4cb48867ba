"""Accuracies on held-out images: with the weights of a supernet, or after a short training."""
