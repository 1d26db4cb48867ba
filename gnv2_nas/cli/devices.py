"""`gnv2-nas devices`"""

from __future__ import annotations

from gnv2_nas.cli.console import print_json, print_table, readable
from gnv2_nas.cli.options import Json


def devices(json: Json = False) -> None:
    """List the devices that latency can be measured on.

    Example: [cyan]gnv2-nas devices[/]
    """
    from gnv2_nas.profiling.device import list_devices, read_profile

    profiles = dict(readable(list_devices(), lambda name: (name, read_profile(name))))
    if json:
        return print_json(profiles)
    rows = [
        (name, p.description, p.transport, p.runtime, str(p.threads), p.precision)
        for name, p in profiles.items()
    ]
    columns = ("device", "description", "transport", "runtime", "threads", "precision")
    return print_table(columns, rows, left=4)
