"""`gnv2-nas devices add`, `check` and `remove`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gnv2_nas.cli.console import print_json, print_line, print_table, say
from gnv2_nas.cli.options import Json, normalize_device

if TYPE_CHECKING:
    from gnv2_nas.workflows.device_setup.state import DeviceState

DeviceArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Device profile.", callback=normalize_device)
]


def add(
    name: Annotated[str, typer.Argument(help="Name of the new device profile.")],
    url: Annotated[
        str, typer.Argument(help="ssh://[USER@]HOST[:PORT] or adb://[SERIAL].", metavar="URL")
    ],
    runtime: Annotated[
        str,
        typer.Option(help="Engine that runs networks there (default: that of the runner)."),
    ] = "",
    runner: Annotated[
        str,
        typer.Option(
            help="Program that measures there: python, or native where there is no Python "
            "(default: what the device can run)."
        ),
    ] = "",
    threads: Annotated[int, typer.Option(help="Threads of a network.")] = 1,
    precision: Annotated[str, typer.Option(help="fp32, fp16, bf16 or int8.")] = "fp32",
    cores: Annotated[
        str,
        typer.Option(
            help="Cores to measure on, such as 4,5 or 4-7 (default: the fastest where they differ, "
            "else any)."
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Set a device up, so that --device NAME measures on it.

    Asks what the device is, and installs one engine in its folder ~/.cache/gnv2-nas/NAME
    (Android: /data/local/tmp/gnv2-nas/NAME). Compares the outputs of stock networks with torch's,
    and measures how large its noise is. Then writes profiles/NAME.yaml.
    On a processor family that was never measured, finds the fastest form of files, too (see
    gnv2-nas devices tune).
    After an interruption, run the same command again to go on.

    Examples:
    [cyan]gnv2-nas devices add pi5 ssh://pi@raspberrypi.local[/]
    [cyan]gnv2-nas devices add phone adb://[/]
    """
    from gnv2_nas.workflows.device_setup.add import AddDeviceRequest, run_add_device

    checked = AddDeviceRequest(name, url, runtime, runner, threads, precision, cores).check()
    from gnv2_nas.cli.progress import ProgressDisplay

    with ProgressDisplay() as display:
        setup = run_add_device(checked, display)
    if json:
        return print_json(setup.to_json())
    print_state(setup.state)
    say(f"wrote {setup.path}; measure on it with --device {name}")
    return None


def check(name: DeviceArgument, json: Json = False) -> None:
    """Check a device again: what it is, the outputs of its engine, its noise.

    Says what changed since the last check.

    Example:
    [cyan]gnv2-nas devices check cpu[/]
    """
    from gnv2_nas.workflows.device_setup.check import check_device, run_check_device

    check_device(name)
    from gnv2_nas.cli.progress import ProgressDisplay

    with ProgressDisplay() as display:
        found = run_check_device(name, display)
    if json:
        return print_json(found.to_json())
    print_state(found.state)
    if found.before is None:
        return say("checked for the first time; there is nothing to compare with")
    for what, (before, after) in found.changes.items():
        print_line(f"{what} changed: {before or 'unknown'} → {after or 'unknown'}")
    if not found.changes:
        print_line(f"nothing changed since {found.before.checked_at}")
    return None


def remove(
    name: DeviceArgument,
    clean: Annotated[
        bool, typer.Option("--clean", help="Also remove all that is ours on the device.")
    ] = False,
) -> None:
    """Remove a device profile. What was measured on the device is kept.

    Example:
    [cyan]gnv2-nas devices remove pi5 --clean[/]
    """
    from gnv2_nas.workflows.device_setup.check import run_remove_device

    for path in run_remove_device(name, clean=clean):
        say(f"removed {path}")


def print_state(state: DeviceState) -> None:
    """Print what a check found."""
    rows = [
        (
            name,
            f"{each.ms:.2f}",
            f"{each.ci95[0]:.2f}–{each.ci95[1]:.2f}",
            "not known" if each.parity is None else f"{each.parity:.1g}",
        )
        for name, each in state.networks.items()
    ]
    print_table(("network", "ms", "95 % interval", "difference from torch"), rows)
    same = state.same_network
    low, high = same.ci95
    print_line(
        f"one network against itself: {same.ratio:.4f} ({low:.4f}–{high:.4f}), "
        f"so differences below {state.noise_floor:.1%} are noise"
    )
    if state.is_biased:
        say(
            "a network differs from itself by more than its interval: other programs or changes of "
            "frequency disturb this device"
        )
    if state.unstable:
        say(f"not stable: {state.unstable}")
