"""Weight files: what they contain, read safely and without torch, and whether it fits a network."""
