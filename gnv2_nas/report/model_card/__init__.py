"""The model card of an exported network."""
