"""`gnv2-nas profile`"""

from __future__ import annotations

from typing import Annotated

import typer

from gnv2_nas.cli.options import DeviceName, Json, Storage, map_each, normalize_network
from gnv2_nas.search.study import defaults


def profile(
    context: typer.Context,
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            help="Presets, architecture JSON files or STUDY:TRIAL (default: all presets).",
            callback=map_each(normalize_network),
        ),
    ] = None,
    device: DeviceName = defaults.DEVICE,
    layers: Annotated[
        bool, typer.Option("--layers", help="Show time, FLOPs and share of every layer instead.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare every network with the first.")
    ] = False,
    budget: Annotated[
        str,
        typer.Option(help="Latency budget, such as 12ms: met, broken, or cannot tell."),
    ] = "",
    predict: Annotated[
        bool, typer.Option("--predict", help="Predict latency with the device's model instead.")
    ] = False,
    storage: Storage = defaults.STORAGE,
    json: Json = False,
) -> None:
    """Count and time networks: size, FLOPs, memory, and latency with its interval.

    Example: [cyan]gnv2-nas profile --device cpu[/],
    [cyan]gnv2-nas profile ghostnet-1.0 ghostnetv2-1.0 --compare[/]
    """
    from gnv2_nas.workflows.profile import ProfileRequest, run_profile

    checked = ProfileRequest(
        tuple(networks or ()), device, layers, compare, budget, predict, storage
    ).check()
    from gnv2_nas.cli.console import print_json
    from gnv2_nas.cli.process import restart_with_huge_pages
    from gnv2_nas.cli.profile_tables import print_profile
    from gnv2_nas.cli.progress import ProgressDisplay

    restart_with_huge_pages(context.obj)
    with ProgressDisplay() as display:
        result = run_profile(checked, display)
    return print_json(result.to_json()) if json else print_profile(result)
