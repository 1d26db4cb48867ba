"""`gnv2-nas devices tune`"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from gnv2_nas.cli.console import print_json, print_table, say
from gnv2_nas.cli.options import Json, NetworkSeed, normalize_device
from gnv2_nas.graph.passes.form import FileForm

if TYPE_CHECKING:
    from gnv2_nas.measurement.forms import FormRatio
    from gnv2_nas.workflows.tuning.result import Tuning


def tune(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(help="Device profile: a name or a YAML file.", callback=normalize_device),
    ],
    timeout: Annotated[
        str, typer.Option(help="Time for everything, such as 90s or 5m; longer is more exact.")
    ] = "110s",
    seed: NetworkSeed = 0,
    json: Json = False,
) -> None:
    """Find the form of files that a device runs fastest.

    A file can be written in several forms that compute the same: channels padded, Ghost modules
    fused, depthwise convolutions split, concatenations sunk.
    The built-in form of each runtime was chosen on an x86 server with AVX-512.
    This command compares it with others on three networks.
    It writes another form to the device's profile only if that is faster by 1 %, beyond its
    interval, when measured again.

    Examples:
    [cyan]gnv2-nas devices tune cpu[/]
    [cyan]gnv2-nas devices tune cpu-litert --timeout 5m[/]
    """
    from gnv2_nas.units import parse_duration
    from gnv2_nas.workflows.tuning.tune import TuneRequest, run_tune

    checked = TuneRequest(name, parse_duration(timeout, "--timeout"), seed).check()
    from gnv2_nas.cli.options import restart_with_huge_pages
    from gnv2_nas.cli.progress import ProgressDisplay

    restart_with_huge_pages(context.obj)
    with ProgressDisplay() as display:
        found = run_tune(checked, display)
    return print_json(found.to_json()) if json else _print_tuning(found)


def _print_tuning(found: Tuning) -> None:
    from gnv2_nas.workflows.tuning.choice import NETWORKS

    screened, confirmed = found.screened, found.confirmed
    columns = ("form", "÷ built-in", "95 %", *found.networks)
    say(f"built-in form of {found.runtime}: {found.built_in}")
    say(f"networks: {NETWORKS}")
    title = f"one option changed; {screened.rounds} rounds in {screened.sessions} sessions"
    print_table(columns, _rows(found, (*screened.ran, screened.again)), title=title)
    if confirmed is not None:
        title = f"the fastest again, in {confirmed.sessions} fresh sessions"
        print_table(columns, _rows(found, (*confirmed.ran, confirmed.again)), title=title)
    for row in (*screened.ratios, *(confirmed.ratios if confirmed else ())):
        if row.refused:
            say(f"left out: {row.form}: {row.refused}")
    if found.doubts:
        say(f"nothing follows from this: {'; '.join(found.doubts)}")
    elif found.chosen is None:
        say("kept: the built-in form; no other is faster by 1 % beyond its interval")
    else:
        say(f"chosen: {found.form}")


def _rows(found: Tuning, rows: Iterable[FormRatio]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        low, high = row.ci95()
        label = str(row.form) if row.form != FileForm() else "built-in once more (A/A)"
        networks = [
            f"{row.of(name)[0]:.3f}" if row.errors[name] else "same file" for name in found.networks
        ]
        yield label, f"{row.ratio:.3f}", f"{low:.3f}–{high:.3f}", *networks
