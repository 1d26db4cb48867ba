"""Setting devices up, checking them, and removing them."""
