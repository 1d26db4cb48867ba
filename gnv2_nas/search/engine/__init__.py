"""Score networks in other processes."""
