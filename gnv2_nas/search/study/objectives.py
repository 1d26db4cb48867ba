"""What a search optimises."""

from __future__ import annotations

from typing import Literal, get_args

from gnv2_nas.errors import InputError, UnknownNameError
from gnv2_nas.search.study.records import Candidate, ObjectiveName

DIRECTIONS: dict[ObjectiveName, Literal["maximize", "minimize"]] = {
    "quality": "maximize",
    "latency": "minimize",
    "macs": "minimize",
    "params": "minimize",
    "memory": "minimize",
}


def loss(candidate: Candidate, objective: ObjectiveName) -> float:
    """The value of an objective with its sign turned where more is better: less is better."""
    value = candidate.value(objective)
    return -value if DIRECTIONS[objective] == "maximize" else value


def parse_objectives(text: str) -> tuple[ObjectiveName, ...]:
    """Names in a comma-separated list, such as "quality,latency".

    Raises:
        InputError: unknown, repeated or no names.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        known = ",".join(get_args(ObjectiveName))
        raise InputError(f"--objectives is empty; give one or more of {known}")
    for name in names:
        if name not in DIRECTIONS:
            raise UnknownNameError("objective", name, DIRECTIONS)
    if len(set(names)) < len(names):
        raise InputError(f"--objectives {text!r} names an objective twice")
    return tuple(name for name in DIRECTIONS if name in names)
