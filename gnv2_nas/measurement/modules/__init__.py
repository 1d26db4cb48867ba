"""The claims of the GhostNet papers as cases to measure, their times, and what follows."""
