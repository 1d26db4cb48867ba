"""What the project claims about its own speed, measured in one run. `make bench` prints it."""

import os

# As the command line does: waiting threads that spin would time the machine's other work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
