"""What `gnv2-nas profile --history` prints."""

from __future__ import annotations

from gnv2_nas.cli.console import print_table, say
from gnv2_nas.measurement.records.history import History, NetworkHistory
from gnv2_nas.measurement.records.record import Measurement, format_latency

MAX_ROWS = 30
"""Maximum number of rows of one network; the last ones are shown."""


def print_history(history: History) -> None:
    """Print a table for each network, oldest record first."""
    for name, network in history.networks.items():
        _print_network(name, network)
    if any(len(each.comparable) < len(each.records) for each in history.networks.values()):
        say(
            "*: another processor, runtime version, device profile or calibration than the last; "
            "not compared with it"
        )
    for name in history.unmeasured:
        say(f"{name}: not measured on device {history.device} yet")


def _print_network(name: str, network: NetworkHistory) -> None:
    alike = {id(each) for each in network.comparable}
    rows = [
        (
            each.taken_at.removesuffix("+00:00").replace("T", " ") + " *" * (id(each) not in alike),
            *format_latency(each),
            _describe_conditions(each),
            each.fingerprint.runtime,
            "yes" if each.stable else f"no: {each.reason}",
        )
        for each in network.records[-MAX_ROWS:]
    ]
    columns = ("measured (UTC)", "ms", "95 %", "÷ V2 1.0", "conditions", "runtime", "stable")
    print_table(columns, rows, title=name)
    if (hidden := len(network.records) - MAX_ROWS) > 0:
        say(f"{name}: {hidden} earlier records; --json shows all")
    if (moved := network.moved()) is not None:
        low, high = moved.ci95
        say(
            f"{name}: last against first: {moved.ratio:.3f} ({low:.3f}–{high:.3f}), {moved.verdict}"
        )


def _describe_conditions(record: Measurement) -> str:
    """Return "governor schedutil, load 0.40", and the pace if there is one."""
    machine, pace = record.fingerprint, record.pace
    parts = [f"governor {machine.governor}", f"load {machine.load:.2f}"]
    if record.conditions is not None:
        parts = [record.conditions.describe() or "; ".join(parts)]
    return "; ".join([*parts, *([f"{pace:g} calls a second"] if pace else [])])
