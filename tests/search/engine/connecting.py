"""Connect to clusters of Ray as a search does, in a process of its own, and print their answers.

`python -m tests.search.engine.connecting ADDRESS…`
"""

from __future__ import annotations

import json
import sys

from gnv2_nas.errors import Gnv2NasError
from gnv2_nas.search.engine import cluster


def connect(*addresses: str) -> list[str]:
    """The error at each address; "" for none."""

    def attempt(address: str) -> str:
        try:
            with cluster.connected(address, 1):
                return ""
        except Gnv2NasError as error:
            return f"{error.exit_code} {error}"

    return [attempt(address) for address in addresses]


if __name__ == "__main__":
    print(json.dumps(connect(*sys.argv[1:])))
