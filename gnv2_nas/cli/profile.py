"""`gnv2-nas profile`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gnv2_nas.cli.console import print_json, print_table, say, stderr
from gnv2_nas.cli.options import DeviceName, Json, Storage
from gnv2_nas.search import defaults

if TYPE_CHECKING:
    from gnv2_nas.arch import Architecture
    from gnv2_nas.profiling import Measurement


def profile(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            help="Presets, architecture JSON files or STUDY:TRIAL; all presets without."
        ),
    ] = None,
    device: DeviceName = defaults.DEVICE,
    layers: Annotated[
        bool, typer.Option("--layers", help="Time, FLOPs and share of every layer instead.")
    ] = False,
    storage: Storage = defaults.STORAGE,
    json: Json = False,
) -> None:
    """Count and time networks: size, FLOPs, memory, latency with its interval.

    Example: [cyan]gnv2-nas profile --device cpu[/],
    [cyan]gnv2-nas profile ghostnetv2-1.0 --layers[/]
    """
    from gnv2_nas.arch import list_presets
    from gnv2_nas.profiling.device import read_profile
    from gnv2_nas.search.networks import find_network

    read_profile(device)
    found: dict[str, Architecture] = {}
    for name in networks or list_presets():
        # The same network twice is measured twice: how far apart the two are is worth knowing.
        again = sum(label.split(" ")[0] == name for label in found)
        found[f"{name} ({again + 1})" if again else name] = find_network(name, storage)
    if layers:
        return _layers(found, device, json=json)
    return _table(found, device, json=json)


def _table(networks: dict[str, Architecture], device: str, *, json: bool) -> None:
    from gnv2_nas.cli.networks import latency_cells
    from gnv2_nas.files import check_writable
    from gnv2_nas.graph import count
    from gnv2_nas.profiling import journal

    check_writable(journal.FOLDER)
    measurements = _measure(networks, device)
    journal.append(measurements)
    with stderr().status("counting with fvcore"):
        from gnv2_nas.nn.reference_count import fvcore_total

        totals = [fvcore_total(arch) for arch in networks.values()]
    rows = list(zip(networks.items(), measurements, totals, strict=True))
    if json:
        return print_json([_as_json(name, arch, m, total) for (name, arch), m, total in rows])
    cells = []
    for (name, arch), measurement, total in rows:
        counts = count(arch)
        figures = (counts.params, counts.macs, total, counts.peak_activation_bytes)
        row = (name, *(f"{figure / 1e6:.2f}" for figure in figures), *latency_cells(measurement))
        cells.append(row)
    columns = (
        "network", "Mparams", "MFLOPs", "fvcore total", "peak act. MB", "ms", "95 %", "÷ V2 1.0",
    )  # fmt: skip
    print_table(columns, cells)
    return _explain(dict(zip(networks, measurements, strict=True)))


def _measure(networks: dict[str, Architecture], device: str) -> list[Measurement]:
    from rich.progress import Progress

    from gnv2_nas.profiling.protocol import measure

    with Progress(console=stderr(), transient=True) as progress:
        task = progress.add_task("measuring in shared rounds", total=1.0)
        return measure(
            list(networks.values()),
            device,
            progress=lambda done: progress.update(task, completed=done),
        )


def _as_json(name: str, arch: Architecture, measurement: Measurement, total: int) -> dict[str, Any]:
    from gnv2_nas.graph import count

    counts = count(arch)
    return {
        "network": name,
        "id": arch.id,
        "params": counts.params,
        "macs": counts.macs,
        "fvcore_total": total,
        "weight_bytes": counts.weight_bytes,
        "peak_activation_bytes": counts.peak_activation_bytes,
        "latency": measurement,
    }


def _explain(measurements: dict[str, Measurement]) -> None:
    first = next(iter(measurements.values()))
    say(
        f"device {first.device}: {first.fingerprint.cpu}, {first.fingerprint.runtime}, "
        f"threads {first.threads}, {first.precision}, batch 1, {first.rounds} rounds, "
        f"{first.clock} clock"
    )
    say("MFLOPs: multiply-adds of convolutions and linear layers, the papers' convention;")
    say("fvcore total: fvcore's default, which adds batch norm, resize and adaptive pooling.")
    for name, measurement in measurements.items():
        if not measurement.stable:
            say(f"? {name}: {measurement.reason}")


def _layers(networks: dict[str, Architecture], device: str, *, json: bool) -> None:
    from gnv2_nas.profiling.device import open_device
    from gnv2_nas.profiling.layers import profile_layers

    opened = open_device(device)
    tables = {name: profile_layers(arch, opened) for name, arch in networks.items()}
    if json:
        return print_json(tables)
    for name, rows in tables.items():
        cells = [
            (
                layer.name, layer.kind, "x".join(map(str, layer.shape)), f"{layer.ms:.3f}",
                f"{layer.macs / 1e6:.2f}", f"{layer.share:.1%}",
            )
            for layer in rows
        ]  # fmt: skip
        columns = ("layer", "kind", "output", "ms", "MFLOPs", "share")
        print_table(columns, cells, title=name, left=3)
    return say("(layout): copies the runtime adds to rearrange feature maps")
