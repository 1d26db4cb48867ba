"""`gnv2-nas devices`"""

from __future__ import annotations

from gnv2_nas.cli.console import print_json, print_table
from gnv2_nas.cli.options import Json


def devices(json: Json = False) -> None:
    """List the devices that latency can be measured on.

    Example: [cyan]gnv2-nas devices[/]
    """
    from gnv2_nas.profiling.device import list_devices

    profiles = list_devices()
    if json:
        return print_json(profiles)
    rows = [
        (name, p.description, p.transport, p.runtime, str(p.threads), p.precision)
        for name, p in profiles.items()
    ]
    columns = ("device", "description", "transport", "runtime", "threads", "precision")
    return print_table(columns, rows, left=4)
