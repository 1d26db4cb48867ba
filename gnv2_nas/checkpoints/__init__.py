"""What weight files contain, read safely without torch, and whether it fits a network."""
