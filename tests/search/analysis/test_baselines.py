"""What is said of a front that was measured again is true, over many searches."""

from __future__ import annotations

import msgspec
import pytest

from gnv2_nas.measurement.records.record import pool
from gnv2_nas.report.study_page.conditions import describe_confirmation
from gnv2_nas.search.analysis.baselines import select_confirmed, share_rounds
from tests.search.simulated import simulated
from tests.search.study_helpers import candidate, latency


def test_every_network_that_is_said_to_be_confirmed_was_measured_again(small):
    for seed in range(8):
        ended = simulated(small, seed)
        said = describe_confirmation(ended.members, ended.memory.confirmed("cpu"))
        assert said.startswith("The front is confirmed"), said
        assert ended.left_out == []
        for each in ended.members:
            before = ended.memory.measured[each.number]
            assert len(before) > 1, f"trial {each.number} was measured once"
            assert each.latency == before[-1]
            assert "+" not in each.latency.batch


@pytest.mark.parametrize("changes", [0, 4])
@pytest.mark.parametrize("budgets", [(), ("0.5MFLOPs",), ("1ms",)])
def test_stock_and_the_recommended_network_share_the_last_rounds(small, changes, budgets):
    for seed in range(3):
        found = simulated(small, seed, ablations=changes, budgets=budgets).found
        assert found.stock is not None
        assert share_rounds(found.stock, found.recommended)


@pytest.mark.parametrize("seconds", [20, 30, 45, 60, 90])
def test_where_time_is_short_the_sentence_says_what_was_measured(small, seconds):
    for seed in range(2):
        ended = simulated(small, seed, seconds=seconds, trials=1000)
        again = [each for each in ended.members if len(ended.memory.measured[each.number]) > 1]
        said = describe_confirmation(ended.members, ended.memory.confirmed("cpu"))
        confirmed = select_confirmed(ended.members, ended.memory.confirmed("cpu"))
        assert {each.number for each in confirmed} <= {each.number for each in again}
        if len(confirmed) == len(ended.members):
            assert said.startswith("The front is confirmed")
        elif confirmed:
            count = f"{len(confirmed)} of the {len(ended.members)} networks on the front"
            assert said.startswith(count)
            assert ended.left_out[0] == f"confirmed {count}: time limit reached (raise --timeout)"
        else:
            assert not said


def test_what_was_averaged_with_a_later_measurement_is_not_confirmed_any_more():
    measured = msgspec.structs.replace(candidate(3), number=3)
    assert select_confirmed([measured], {3}) == [measured]
    again = pool(latency(3), latency(3, 1.6))
    later = measured.with_latency(again)
    assert select_confirmed([later], {3}) == []
