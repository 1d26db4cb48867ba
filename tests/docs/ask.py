"""Client of `warm.py`: `ask.py SOCKET gnv2-nas …` or `ask.py SOCKET SCRIPT.py`. Imports little."""

import json
import os
import socket
import sys

folder = os.getcwd()  # noqa: PTH109 - to import pathlib takes longer than all of this
asked = {"arguments": sys.argv[2:], "folder": folder, "environment": dict(os.environ)}
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    socket.send_fds(server, [b"!"], [0, 1, 2])
    server.sendall(json.dumps(asked).encode() + b"\n")
    code = server.recv(1)
sys.exit(code[0] if code else "the process that runs the documentation's commands has ended")
