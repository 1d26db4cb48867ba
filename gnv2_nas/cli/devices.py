"""`gnv2-nas devices`: what latency can be measured on, and a model of one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gnv2_nas.cli import any_case
from gnv2_nas.cli.console import print_json, print_table, readable
from gnv2_nas.cli.measuring import say_shortage
from gnv2_nas.cli.options import Json
from gnv2_nas.devices.device import DeviceProfile
from gnv2_nas.runtimes.base import RUNTIMES

app = typer.Typer(rich_markup_mode="rich")


@app.callback(invoke_without_command=True)
def devices(context: typer.Context, json: Json = False) -> None:
    """List the devices that latency can be measured on, or fit a latency model of one.

    Example: [cyan]gnv2-nas devices[/],
    [cyan]gnv2-nas devices fit cpu[/]
    """
    if context.invoked_subcommand is None:
        list_devices(json=json)


@app.command(name="list")
def list_devices(json: Json = False) -> None:
    """List the devices that latency can be measured on.

    Example: [cyan]gnv2-nas devices list[/]
    """
    from gnv2_nas.devices.device import list_devices, read_profile

    profiles = dict(readable(list_devices(), lambda name: (name, read_profile(name))))
    for name, profile in profiles.items():
        say_shortage(name, profile)
    if json:
        return print_json(profiles)
    rows = [
        (name, p.description, p.runtime, p.processor, str(p.threads), p.precision, _state(p))
        for name, p in profiles.items()
    ]
    columns = ("device", "description", "runtime", "processor", "threads", "precision", "")
    return print_table(columns, rows, left=4)


@app.command()
def fit(
    name: Annotated[
        str,
        typer.Argument(help="Device profile: a name or a YAML file.", callback=any_case.device),
    ],
    networks: Annotated[
        int | None, typer.Option(help="Networks to measure: 120, or 20 with --from.")
    ] = None,
    held_out: Annotated[
        int | None, typer.Option(help="Those of them that give the error; a quarter without.")
    ] = None,
    space: Annotated[
        str,
        typer.Option(
            help="Search space they are drawn from: a name or a YAML file.",
            callback=any_case.space,
        ),
    ] = "",
    correct: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Model of another device or thread count, to be corrected for this one."
        ),
    ] = None,
    seconds_per_network: Annotated[
        float, typer.Option(help="Longest time to measure one network for.")
    ] = 1.5,
    seed: Annotated[int, typer.Option(help="Seed of the networks that are drawn.")] = 0,
    json: Json = False,
) -> None:
    """Measure balanced networks of a space, and fit a model that predicts latency.

    Goes to profiles/NAME.latency.json with its error on networks it had not seen. Interrupted,
    the same command goes on with the networks that are left.

    Example: [cyan]gnv2-nas devices fit cpu[/],
    [cyan]gnv2-nas devices fit cpu-int8 --from profiles/cpu.latency.json[/]
    """
    from gnv2_nas.cli.latency import fit_with_progress, print_fit
    from gnv2_nas.workflows.latency import LatencyFitRequest

    request = LatencyFitRequest(
        device=name,
        space=space,
        networks=networks,
        held_out=held_out,
        seconds_per_network=seconds_per_network,
        seed=seed,
        correct=correct,
    )
    return print_fit(name, *fit_with_progress(request), json=json)


def _state(profile: DeviceProfile) -> str:
    kind = RUNTIMES[profile.runtime]
    return kind.installation() if kind.missing() else "installed"
