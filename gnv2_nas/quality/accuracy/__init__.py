"""Accuracies on held-out images: of a supernet, of a training, of a predictor."""
