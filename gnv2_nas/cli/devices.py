"""`gnv2-nas devices`"""

from __future__ import annotations

from gnv2_nas.cli.console import print_json, print_table, readable
from gnv2_nas.cli.options import Json
from gnv2_nas.profiling.device import DeviceProfile
from gnv2_nas.profiling.runtime import RUNTIMES


def devices(json: Json = False) -> None:
    """List the devices that latency can be measured on.

    Example: [cyan]gnv2-nas devices[/]
    """
    from gnv2_nas.profiling.device import list_devices, read_profile

    profiles = dict(readable(list_devices(), lambda name: (name, read_profile(name))))
    if json:
        return print_json(profiles)
    rows = [
        (name, p.description, p.runtime, p.processor, str(p.threads), p.precision, _state(p))
        for name, p in profiles.items()
    ]
    columns = ("device", "description", "runtime", "processor", "threads", "precision", "")
    return print_table(columns, rows, left=4)


def _state(profile: DeviceProfile) -> str:
    kind = RUNTIMES[profile.runtime]
    return kind.installation() if kind.missing() else "installed"
