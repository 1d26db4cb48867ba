"""What the page says of a front that was measured again."""

from __future__ import annotations

from gnv2_nas.report.study_page.conditions import describe_confirmation
from gnv2_nas.search.analysis.pareto import study_front
from tests.report.studies import typical

MEMBERS = study_front(typical(40))


def test_a_front_that_was_measured_again_is_confirmed() -> None:
    said = describe_confirmation(MEMBERS, {one.number for one in MEMBERS})
    assert said.startswith(f"The front is confirmed: the latency of each of its {len(MEMBERS)} ")


def test_a_part_is_called_one() -> None:
    said = describe_confirmation(MEMBERS, {MEMBERS[0].number, 10_000})
    assert said.startswith(f"1 of the {len(MEMBERS)} networks on the front")


def test_those_that_were_not_are_named() -> None:
    most = {one.number for one in MEMBERS[2:]}
    first, second = (one.number for one in MEMBERS[:2])
    said = describe_confirmation(MEMBERS, most)
    assert f"Trials {first} and {second} were measured only during the search" in said
    assert f"Trial {first} was measured only" in describe_confirmation(MEMBERS, most | {second})


def test_nothing_is_said_where_nothing_was_measured_again() -> None:
    assert describe_confirmation(MEMBERS) == ""
    assert describe_confirmation([], {1}) == ""
