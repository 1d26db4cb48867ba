"""`gnv2-nas devices`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from gnv2_nas.cli.console import print_json, print_table, read_all, say
from gnv2_nas.cli.device_setup import add, check, remove
from gnv2_nas.cli.options import Json, NetworkSeed, normalize_device, normalize_space
from gnv2_nas.cli.tune import tune
from gnv2_nas.commands import format_command
from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.runtimes.base import RUNTIMES
from gnv2_nas.search.study import defaults

if TYPE_CHECKING:
    from gnv2_nas.workflows.latency import LatencyFit

app = typer.Typer(rich_markup_mode="rich")
for command in (add, check, remove, tune):
    app.command()(command)


@app.callback(invoke_without_command=True)
def devices(context: typer.Context, json: Json = False) -> None:
    """List the devices that latency can be measured on, add, tune or remove one, or fit a model.

    A device marked "experimental" uses a processor on which our tests have not run.

    Examples:
    [cyan]gnv2-nas devices[/]
    [cyan]gnv2-nas devices add pi5 ssh://pi@raspberrypi.local[/]
    [cyan]gnv2-nas devices fit cpu[/]
    """
    if context.invoked_subcommand is None:
        list_devices(json=json)


@app.command(name="list")
def list_devices(json: Json = False) -> None:
    """List the devices that latency can be measured on.

    Example:
    [cyan]gnv2-nas devices list[/]
    """
    from gnv2_nas.devices.profile import list_devices, read_profile
    from gnv2_nas.workflows.device_setup.state import last_measured
    from gnv2_nas.workflows.devices import describe_shortage

    profiles = dict(read_all(list_devices(), lambda name: (name, read_profile(name))))
    for name, profile in profiles.items():
        if message := describe_shortage(name, profile):
            say(message)
    if json:
        facts = {name: msgspec.structs.asdict(each) for name, each in profiles.items()}
        return print_json(
            {name: each | {"measured": last_measured(name)} for name, each in facts.items()}
        )
    rows = [
        (
            name,
            p.description,
            p.reached_by,
            p.runtime,
            p.processor,
            str(p.threads),
            p.precision,
            last_measured(name) or "never",
            _state(p),
        )
        for name, p in profiles.items()
    ]
    columns = (
        "device", "description", "reached by", "runtime", "processor", "threads", "precision",
        "measured", "",
    )  # fmt: skip
    return print_table(columns, rows, left=5)


@app.command()
def fit(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(help="Device profile: a name or a YAML file.", callback=normalize_device),
    ],
    networks: Annotated[
        int | None, typer.Option(help="Networks to measure (default: 120, or 20 with --from).")
    ] = None,
    held_out: Annotated[
        int | None,
        typer.Option(help="Networks held out to estimate the error (default: a quarter)."),
    ] = None,
    space: Annotated[
        str,
        typer.Option(
            help=f"Search space: a name or a YAML file (default: {defaults.SPACE}, or with --from "
            "the space of that model).",
            callback=normalize_space,
        ),
    ] = "",
    correct: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Latency model of another device, such as profiles/cpu.latency.json, to correct "
            "with a few measurements (default: fit a new model).",
        ),
    ] = None,
    seconds_per_network: Annotated[
        float, typer.Option(help="Longest time to measure one network.")
    ] = 1.5,
    seed: NetworkSeed = 0,
    json: Json = False,
) -> None:
    """Measure networks of a space, and fit a model that predicts latency.

    Writes profiles/NAME.latency.json with the model's error on held-out networks.
    After an interruption, run the same command again to measure the rest.

    Examples:
    [cyan]gnv2-nas devices fit cpu[/]
    [cyan]gnv2-nas devices fit cpu-int8 --from profiles/cpu.latency.json[/]
    """
    from gnv2_nas.workflows.latency import LatencyFitRequest, run_latency_fit

    checked = LatencyFitRequest(
        name, space, networks, held_out, seconds_per_network, seed, correct
    ).check()
    from gnv2_nas.cli.options import restart_with_huge_pages
    from gnv2_nas.cli.progress import ProgressDisplay

    restart_with_huge_pages(context.obj)
    with ProgressDisplay() as display:
        found = run_latency_fit(checked, display)
    return print_json(found.to_json()) if json else print_fit(name, found)


def _state(profile: DeviceProfile) -> str:
    runtime = RUNTIMES[profile.runtime]
    if runtime.missing(here=profile.transport == "local"):
        return runtime.installation()
    if profile.processor in runtime.experimental:
        return "experimental"
    return "installed" if profile.transport == "local" else ""


def print_fit(device: str, fit: LatencyFit) -> None:
    """Print the errors of a fitted latency model.

    Args:
        device: the device as the user named it.
        fit: the model.
    """
    model, fitted_on = fit.model, fit.fitted_on
    rows = [
        (each.name, f"{each.error:.1%}", "–" if each.tau is None else f"{each.tau:.2f}")
        for each in model.errors
    ]
    rows.append(("noise floor", f"{model.noise_floor:.1%}", "–"))
    print_table(("predicted by", "mean error", "Kendall τ"), rows)
    source = fitted_on.corrected_from
    kind = f"the model of {source!r} corrected with" if source else "fitted to"
    say(f"{kind} {model.networks} networks of space {fitted_on.space}, device {fitted_on.device}")
    say(f"errors: of {model.held_out} networks, each predicted by a model that had not seen it;")
    say("noise floor: the error a perfect model would show because of measurement noise.")
    following = format_command("profile --predict", options=[("--device", device)])
    say(f"kept in {fit.path}; next: {following}")
