"""The model card beside an exported network."""
