"""Setting a device up: what it is, which engines it can have, and how they get there."""
