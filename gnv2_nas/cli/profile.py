"""`gnv2-nas profile`"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gnv2_nas.cli import any_case
from gnv2_nas.cli.console import print_json, say
from gnv2_nas.cli.live import LiveLine
from gnv2_nas.cli.options import DeviceName, Json, Storage
from gnv2_nas.errors import InputError
from gnv2_nas.search.study import defaults

if TYPE_CHECKING:
    from gnv2_nas.arch import Architecture
    from gnv2_nas.measurement import Measurement


def profile(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            help="Presets, architecture JSON files or STUDY:TRIAL; all presets without.",
            callback=any_case.each_of(any_case.network),
        ),
    ] = None,
    device: DeviceName = defaults.DEVICE,
    layers: Annotated[
        bool, typer.Option("--layers", help="Time, FLOPs and share of every layer instead.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Is each faster or slower than the first?")
    ] = False,
    budget: Annotated[
        str, typer.Option(help="A latency, such as 12ms: is it met, broken, or can one not tell?")
    ] = "",
    predict: Annotated[
        bool, typer.Option("--predict", help="Latency from the device's model, not measured.")
    ] = False,
    storage: Storage = defaults.STORAGE,
    json: Json = False,
) -> None:
    """Count and time networks: size, FLOPs, memory, latency with its interval.

    Example: [cyan]gnv2-nas profile --device cpu[/],
    [cyan]gnv2-nas profile ghostnet-1.0 ghostnetv2-1.0 --compare[/]
    """
    from gnv2_nas.arch import list_presets
    from gnv2_nas.devices.device import read_profile

    limit_ms = _limit(budget)
    if compare and len(networks or ()) < 2:
        raise InputError("--compare takes two networks or more: name them before it")
    if predict and (layers or compare or budget):
        raise InputError("--predict does not go with --layers, --compare or --budget: leave it out")
    read_profile(device)
    found = _found(networks or list_presets(), storage)
    if predict:
        from gnv2_nas.cli.latency import predict as print_predictions

        return print_predictions(found, device, json=json)
    if layers:
        return _layers(found, device, json=json)
    if compare:
        return _compare(found, device, json=json)
    return _table(found, device, limit_ms, json=json)


def _found(names: Sequence[str], storage: str) -> dict[str, Architecture]:
    """Label → network. The same network twice is measured twice: how far apart the two are is worth
    knowing."""
    from gnv2_nas.workflows.references import find_network

    found: dict[str, Architecture] = {}
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        found[f"{name} ({seen[name]})" if seen[name] > 1 else name] = find_network(name, storage)
    return found


def _limit(budget: str) -> float | None:
    if not budget:
        return None
    from gnv2_nas.search.study.budgets import parse_budget

    parsed = parse_budget(budget)
    if parsed.metric != "latency":
        raise InputError(f"--budget takes a latency here, such as 12ms, but got {budget!r}")
    return parsed.limit


def _table(
    networks: dict[str, Architecture], device: str, limit_ms: float | None, *, json: bool
) -> None:
    from gnv2_nas.cli.profile_tables import explain, network_json, print_networks

    measurements = _measured(networks, device)
    with LiveLine("counting with fvcore"):
        from gnv2_nas.nn.network import fvcore_total

        totals = [fvcore_total(arch) for arch in networks.values()]
    if json:
        rows = zip(networks.items(), measurements, totals, strict=True)
        return print_json([network_json(*named, m, total, limit_ms) for named, m, total in rows])
    print_networks(networks, measurements, totals, limit_ms)
    return explain(dict(zip(networks, measurements, strict=True)))


def _compare(networks: dict[str, Architecture], device: str, *, json: bool) -> None:
    from gnv2_nas.cli.profile_tables import print_comparisons
    from gnv2_nas.measurement.comparison import compare

    measurements = _measured(networks, device, to_compare=True)
    first, *others = networks
    comparisons = {
        name: compare(measurement, measurements[0])
        for name, measurement in zip(others, measurements[1:], strict=True)
    }
    if json:
        return print_json({"first": first, "comparisons": comparisons})
    return print_comparisons(first, comparisons)


def _measured(
    networks: dict[str, Architecture], device: str, *, to_compare: bool = False
) -> list[Measurement]:
    """Latencies in the order given, kept in the device's file."""
    from gnv2_nas.cli.measuring import calibrated_device, measure_with_progress
    from gnv2_nas.measurement import journal
    from gnv2_nas.workflows.device_files import check_device_files

    check_device_files(device)
    opened = calibrated_device(device)
    measurements = measure_with_progress(list(networks.values()), opened, to_compare=to_compare)
    journal.append(measurements)
    return measurements


def _layers(networks: dict[str, Architecture], device: str, *, json: bool) -> None:
    from gnv2_nas.cli.measuring import say_shortage
    from gnv2_nas.cli.profile_tables import print_layers
    from gnv2_nas.measurement.calibration import open_device
    from gnv2_nas.measurement.layers import profile_layers

    opened = open_device(device)
    say_shortage(opened.name, opened.profile)
    tables = {name: profile_layers(arch, opened, waiting=say) for name, arch in networks.items()}
    return print_layers(tables, json=json)
