"""Makes `study_format_1.sql.gz`: a study in the form that was written up to commit bbdac4b.

`git worktree add /tmp/before bbdac4b`, then in an empty folder
`PYTHONPATH=/tmp/before python -m tests.search.storage.make_study_format_1 FILE`.
"""

from __future__ import annotations

import gzip
import sqlite3
import subprocess
import sys
from pathlib import Path

SEARCH = (
    "search --space tiny --budget 3MFLOPs --budget 2MB --trials 16 --timeout 60s --changes 3 "
    "--study before --seed 1"
)

if __name__ == "__main__":
    run = "from gnv2_nas.cli import main; main()"
    subprocess.run([sys.executable, "-c", run, *SEARCH.split()], check=True)
    dump = "\n".join(sqlite3.connect("studies.db").iterdump()) + "\n"
    Path(sys.argv[1]).write_bytes(gzip.compress(dump.encode(), 9, mtime=0))
