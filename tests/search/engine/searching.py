"""`gnv2-nas` that waits for the head of a cluster only briefly, in a process of its own.

`python -m tests.search.engine.searching ARGUMENTS…`
"""

from __future__ import annotations

from gnv2_nas.cli import main
from gnv2_nas.search.engine import head

if __name__ == "__main__":
    head.SECONDS_BETWEEN_CHECKS, head.MAX_SECONDS_SILENT = 0.1, 0.5
    main()
