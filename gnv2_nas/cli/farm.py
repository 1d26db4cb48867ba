"""`gnv2-nas farm`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gnv2_nas.cli.console import print_json, print_table, say
from gnv2_nas.cli.options import Json, map_each, normalize_device

if TYPE_CHECKING:
    from gnv2_nas.search.farm.directory import ServedDevice

app = typer.Typer(rich_markup_mode="rich")


@app.callback(invoke_without_command=True)
def farm(
    context: typer.Context,
    device: Annotated[
        list[str] | None,
        typer.Option(
            help="Device to serve: a name from [cyan]gnv2-nas devices[/] or a YAML file. May be "
            "given several times.",
            callback=map_each(normalize_device),
        ),
    ] = None,
) -> None:
    """Serve devices that this machine reaches to searches on other machines, until Ctrl-C.

    This machine must be part of a Ray cluster (ray start). A search with --ray and the name of a
    served device measures there. Searches take turns.

    Examples:
    [cyan]gnv2-nas farm --device pi5 --device phone[/]
    [cyan]gnv2-nas farm status[/]
    [cyan]gnv2-nas search --ray auto --device pi5 --budget 12ms[/]
    """
    if context.invoked_subcommand is not None:
        return
    from gnv2_nas.cli.progress import ProgressDisplay
    from gnv2_nas.workflows.farm import check_farm, run_farm

    devices = check_farm(device or ())
    with ProgressDisplay() as display:
        run_farm(devices, display)


@app.command()
def status(
    ray: Annotated[
        str,
        typer.Option(
            help="The Ray cluster: auto for the one that this machine is part of, or "
            "ray://HOST:PORT."
        ),
    ] = "auto",
    json: Json = False,
) -> None:
    """List the devices that the farms of a cluster serve, and what they do.

    Example:
    [cyan]gnv2-nas farm status[/]
    """
    from gnv2_nas.errors import DeviceError
    from gnv2_nas.workflows.farm import list_served

    found = list_served(ray)
    devices = [each for each in found if not isinstance(each, DeviceError)]
    for error in found:
        if isinstance(error, DeviceError):
            say(str(error))
    if json:
        return print_json(devices)
    if not devices:
        return say("no farm serves a device; start one: gnv2-nas farm --device NAME")
    columns = ("device", "host", "reached by", "runtime", "state", "used by", "networks")
    return print_table(columns, map(_row, devices), left=6)


def _row(device: ServedDevice) -> tuple[str, ...]:
    state = "idle"
    if device.queue:
        waiting = f", {len(device.queue) - 1} waiting" if device.queue[1:] else ""
        state = f"works for {device.queue[0]}{waiting}"
    elif device.failure:
        state = f"failed: {device.failure}"
    return (
        device.name, device.host, device.profile.reached_by, device.profile.runtime, state,
        ", ".join(device.searches) or "–", str(device.measured),
    )  # fmt: skip
