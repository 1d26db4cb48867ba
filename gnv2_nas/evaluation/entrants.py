"""Which networks are evaluated: the picks of a study and the rivals of each."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Literal

import msgspec

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.errors import InputError
from gnv2_nas.graph import count
from gnv2_nas.search.analysis.recommendation import recommend
from gnv2_nas.search.analysis.rivals import find_rivals
from gnv2_nas.search.analysis.views import join_words
from gnv2_nas.search.storage.sqlite import no_such_trial
from gnv2_nas.search.study.budgets import Budget, excesses, keeps_budgets, violations
from gnv2_nas.search.study.metrics import Counted
from gnv2_nas.search.study.records import StudyRecord, Trial
from gnv2_nas.search.study.settings import Settings
from gnv2_nas.space import SearchSpace

Role = Literal["pick", "stock", "random", "named"]
"""Recommended by the study, published, drawn from its space, or named by the user."""

ALWAYS = ("ghostnet-1.0", "mobilenetv3-large-1.0")
"""Published networks that are rivals also where the study has none of their family within the
budgets: then at the pick's resolution."""
RANDOM = 2
DRAWS, SHORTLIST = 400, 8
"""Networks that are drawn from the space, and those nearest to the pick in multiply-adds, of which
the nearest in latency are rivals."""


class Entrant(msgspec.Struct, frozen=True):
    """A network that is trained and measured."""

    label: str
    architecture: Architecture
    """With the classes of the images."""
    role: Role
    broken: tuple[str, ...] = ()
    """Budgets that it breaks, as far as the study or arithmetic knows."""


class Contest(msgspec.Struct, frozen=True):
    """A pick and its rivals."""

    view: str
    """The budgets that it is the pick of, if the study has a list of them: "within 200MFLOPs"."""
    pick: Entrant
    rivals: tuple[Entrant, ...]
    budgets: tuple[Budget, ...]

    def with_rivals(self, more: Sequence[Entrant]) -> Contest:
        """Return the contest with further rivals; a network takes part once."""
        known = {each.architecture.id for each in (self.pick, *self.rivals)}
        new = {each.architecture.id: each for each in more if each.architecture.id not in known}
        return msgspec.structs.replace(self, rivals=(*self.rivals, *new.values()))

    def with_classes(self, classes: int) -> Contest:
        """Return the contest of the same networks with another number of classes."""

        def change(entrant: Entrant) -> Entrant:
            arch = entrant.architecture.replace(num_classes=classes)
            return msgspec.structs.replace(entrant, architecture=arch)

        return msgspec.structs.replace(
            self, pick=change(self.pick), rivals=tuple(map(change, self.rivals))
        )

    @property
    def entrants(self) -> tuple[Entrant, ...]:
        return (self.pick, *self.rivals)


def list_contests(record: StudyRecord, number: int | None, *, stock: bool) -> list[Contest]:
    """Return the recommended network of each list of budgets, with its stock rivals.

    Args:
        record: the study.
        number: a trial that is the pick instead.
        stock: whether stock networks are rivals.

    Raises:
        InputError: no network of the study keeps its budgets, or it has no such trial.
    """
    if number is not None:
        return [_make_contest("", record, _find_trial(record, number), stock=stock)]
    contests: dict[str, Contest] = {}
    for settings in record.settings.by_limit:
        seen = record.seen(settings)
        if (pick := recommend(seen).recommended) is not None:
            contest = _make_contest(
                _name_limits(record.settings, settings), seen, pick, stock=stock
            )
            contests.setdefault(pick.architecture.id, contest)
    if not contests:
        raise InputError(
            f"no network of study {record.name!r} keeps its budgets, so there is no pick to "
            "evaluate; search longer, or name a trial: STUDY:TRIAL"
        )
    return list(contests.values())


def _name_limits(study: Settings, view: Settings) -> str:
    """Return "within 200MFLOPs" for one limit of a list; "" without lists."""
    listed = {limit.alone().metric for limit in study.limits}
    limits = [budget.alone() for budget in view.budgets]
    texts = dict.fromkeys(limit.text for limit in limits if limit.metric in listed)
    return f"within {join_words(list(texts))}" if texts else ""


def _find_trial(record: StudyRecord, number: int) -> Trial:
    for trial in record.trials:
        if trial.number == number:
            return trial
    last = max((each.number for each in record.trials), default=None)
    raise no_such_trial(record.name, number, last)


def _make_contest(view: str, record: StudyRecord, pick: Trial, *, stock: bool) -> Contest:
    label = pick.baseline or f"{record.name}:{pick.number}"
    entrant = Entrant(label, pick.architecture, "pick", tuple(pick.broken_budgets))
    contest = Contest(view, entrant, (), record.settings.budgets)
    return contest.with_rivals(_list_stock(record, pick) if stock else ())


def _list_stock(record: StudyRecord, pick: Trial) -> list[Entrant]:
    """Return the best stock network of each family within the budgets, and those of `ALWAYS`."""
    found = find_rivals(record)
    rivals = [Entrant(each.baseline, each.architecture, "stock") for each in found]
    families = {each.architecture.family for each in rivals}
    missing = [name for name in ALWAYS if preset(name).family not in families]
    return rivals + [_at_resolution(name, pick, record) for name in missing]


def _at_resolution(name: str, pick: Trial, record: StudyRecord) -> Entrant:
    arch = name_at(name, pick.architecture)
    return Entrant(
        f"{name} at {arch.resolution} px", arch, "stock", list_broken(arch, record.settings.budgets)
    )


def name_at(name: str, pick: Architecture) -> Architecture:
    """Return a published network that reads the same images as the pick."""
    return preset(name).replace(resolution=pick.resolution, num_classes=pick.num_classes)


def list_broken(arch: Architecture, budgets: Sequence[Budget]) -> tuple[str, ...]:
    """Return the budgets that arithmetic shows to be broken."""
    broken = violations(excesses(budgets, Counted(count(arch))))
    return tuple(budget.text for budget in budgets if budget.metric in broken)


def draw_alike(space: SearchSpace, contest: Contest, seed: int) -> list[Architecture]:
    """Return random networks of the space with about as many multiply-adds as the pick.

    They keep the budgets that arithmetic can check. The nearest come first.
    """
    rng, pick = random.Random(seed), contest.pick.architecture
    wanted = math.log(count(pick).macs)
    taken = {each.architecture.id for each in contest.entrants}
    drawn = {arch.id: arch for arch in (space.sample(rng) for _ in range(DRAWS))}
    distances = {
        name: abs(math.log(counts.macs) - wanted)
        for name, arch in drawn.items()
        if name not in taken and keeps_budgets(contest.budgets, counts := count(arch))
    }
    return [drawn[name] for name in sorted(distances, key=lambda name: distances[name])[:SHORTLIST]]
