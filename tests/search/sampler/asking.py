"""Proposals told their parameter counts: a search without measurements or a store."""

from __future__ import annotations

from collections.abc import Sequence

import optuna

from gnv2_nas.search.proposals import Proposal, Proposals
from gnv2_nas.search.sampler.factory import SAMPLERS, make_sampler
from gnv2_nas.search.sampler.graph_encoder import GraphKnowledge
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
    past: Sequence[optuna.trial.FrozenTrial] = (),
    seen: Sequence[str] = (),
) -> Proposals:
    known, kept = set(seen), parse_budgets(budgets)
    if isinstance(sampler, str):
        sampler = make_sampler(
            sampler, seed, lambda: GraphKnowledge(space, kept, OBJECTIVES, known)
        )
    asked = Proposals(space, kept, OBJECTIVES, sampler, seed, known)
    asked.learn(past)
    return asked


def answer(asked: Proposals, proposal: Proposal) -> optuna.trial.FrozenTrial:
    """Tell what became of a proposal; its quality is its millions of parameters."""
    counts = proposal.counts
    candidate = Trial(
        number=0, architecture=proposal.architecture, params=proposal.trial.params, baseline="",
        counts=counts, quality=counts.params / 1e6, latency=None,
        budgets=tuple(asked.budgets),
    )  # fmt: skip
    return asked.tell(proposal, candidate)


def ask(asked: Proposals, count: int) -> list[Proposal]:
    """The next proposals, each told before the next; fewer when the space runs out."""
    found: list[Proposal] = []
    while len(found) < count and (proposal := asked.ask()) is not None:
        answer(asked, proposal)
        found.append(proposal)
    return found
