"""Proposals told their parameter counts: a search without measurements or a store."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import optuna

from gnv2_nas.search.proposals import Proposals
from gnv2_nas.search.sampler.encoders import GraphEncoder
from gnv2_nas.search.sampler.factory import SAMPLERS, make_sampler
from gnv2_nas.search.study.budgets import parse_budgets
from gnv2_nas.search.study.records import Trial
from gnv2_nas.space import SearchSpace

OBJECTIVES = ("quality", "macs")
QUICK_SAMPLERS = tuple(name for name in SAMPLERS if name != "gp")
"""Optuna's Gaussian process takes seconds for each proposal."""


def proposals(
    space: SearchSpace,
    sampler: str | optuna.samplers.BaseSampler = "nsga2",
    *budgets: str,
    seed: int = 0,
    past: Sequence[Trial] = (),
    seen: Sequence[str] = (),
) -> Proposals:
    known, kept = set(seen), parse_budgets(budgets)
    if isinstance(sampler, str):
        sampler = make_sampler(sampler, seed, lambda: GraphEncoder(space, kept, OBJECTIVES, known))
    asked = Proposals(space, kept, OBJECTIVES, sampler, seed, known)
    asked.learn(past)
    return asked


def answer(asked: Proposals, trial: Trial) -> Trial:
    """Tell what became of a proposal; its quality is its millions of parameters."""
    return asked.tell(msgspec.structs.replace(trial, quality=trial.counts.params / 1e6))


def ask(asked: Proposals, count: int) -> list[Trial]:
    """The next proposals, each told before the next; fewer when the space runs out."""
    found: list[Trial] = []
    while len(found) < count and (trial := asked.ask()) is not None:
        found.append(answer(asked, trial))
    return found
