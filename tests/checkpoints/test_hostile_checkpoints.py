"""No checkpoint of at most 100 kB takes more than 1 GB or 5 s to be refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from gnv2_nas.arch import Architecture, GhostBlock
from tests.checkpoints.hostile_checkpoints import LARGEST, hostile_checkpoints

ARCH = Architecture((GhostBlock(8, 6),), 4, 8, 8, resolution=32, num_classes=3)
# In a process of its own: how much memory it took at most is known of a process alone.
READ_ALL = """
import json, resource, sys, time
from pathlib import Path
from gnv2_nas.arch import Architecture, GhostBlock
from gnv2_nas.errors import CheckpointError
from gnv2_nas.checkpoints.checkpoint import check_checkpoint

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

arch = Architecture.from_json(sys.argv[2])
unit = 1 if sys.platform == "darwin" else 1024
before, found = peak(), {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    started = time.process_time()
    try:
        check_checkpoint(path, arch)
        message = "accepted"
    except CheckpointError as error:
        message = str(error)
    except Exception as error:
        message = repr(error)
    found[path.name] = [time.process_time() - started, message]
print(json.dumps([(peak() - before) * unit, found, "torch" in sys.modules]))
"""


def test_small_files_cost_little(tmp_path: Path) -> None:
    files = hostile_checkpoints()
    assert len(files) > 70
    for number, data in enumerate(files.values()):
        assert len(data) <= LARGEST
        (tmp_path / f"{number:03}").write_bytes(data)
    command = [sys.executable, "-c", READ_ALL, str(tmp_path), ARCH.to_json()]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    memory, found, torch_imported = json.loads(printed.stdout)
    assert memory < 1e9
    assert not torch_imported
    for name, (seconds, message) in zip(files, found.values(), strict=True):
        assert seconds < 5, name
        assert message.startswith(f"'{tmp_path}"), (name, message)
        assert "\n" not in message, name
        assert len(message) < 1500, name
