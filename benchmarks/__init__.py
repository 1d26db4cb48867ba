"""What the project claims about its own speed, measured in one run. `make bench` prints it."""
