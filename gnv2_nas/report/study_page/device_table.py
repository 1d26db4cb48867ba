"""How differently the devices of a study rank networks, as a table and in words."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gnv2_nas.search.analysis.device_ranks import DevicePair
from gnv2_nas.search.study.metrics import format_share
from gnv2_nas.stats.rank_agreement import RankAgreement

_ALIKE, _SIMILAR = 0.9, 0.7
"""Kendall's τ from which on two rankings are called almost the same, or similar."""
_DOUBTFUL = 0.5
"""τ at which a quarter of all pairs change places. An interval from below it to a similar ranking
does not tell one from the other."""


class DeviceTable(msgspec.Struct, frozen=True):
    """The section of the page."""

    sentences: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """Two devices, networks, τ with its interval, and the share of swapped pairs."""


def make_device_table(pairs: Sequence[DevicePair]) -> DeviceTable | None:
    """The table of `pairs`, the pair that agrees least first; None without several devices."""
    if not pairs:
        return None
    return DeviceTable(describe_devices(pairs), tuple(map(_cells, pairs)))


def describe_devices(pairs: Sequence[DevicePair]) -> tuple[str, ...]:
    """Sentences about the pair that agrees least, and about the one that agrees most."""
    known = [_sentence(pair, pair.agreement) for pair in pairs if pair.agreement is not None]
    if pairs and not known:
        return ("Too few networks were measured on several devices to compare the rankings.",)
    return tuple(dict.fromkeys((*known[:1], *known[-1:])))


def _sentence(pair: DevicePair, agreement: RankAgreement) -> str:
    if agreement.low < _DOUBTFUL and agreement.high >= _SIMILAR:
        return (
            f"{agreement.networks:,} networks are too few to tell whether {pair.one} and "
            f"{pair.other} rank networks alike (Kendall’s τ {agreement})."
        )
    how = "differently"
    if agreement.tau >= _SIMILAR:
        how = "almost alike" if agreement.tau >= _ALIKE else "similarly"
    return (
        f"{pair.one} and {pair.other} rank {agreement.networks:,} networks {how}: in "
        f"{format_share(pair.swapped)} of all pairs, the network that is faster on {pair.one} is "
        f"slower on {pair.other} (Kendall’s τ {agreement})."
    )


def _cells(pair: DevicePair) -> tuple[str, ...]:
    if pair.agreement is None:
        return pair.one, pair.other, "too few", "–", "–"
    agreement = pair.agreement
    return (
        pair.one, pair.other, f"{agreement.networks:,}", str(agreement),
        format_share(pair.swapped),
    )  # fmt: skip
