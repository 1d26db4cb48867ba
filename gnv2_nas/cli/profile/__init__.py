"""The command `profile` and its tables."""
