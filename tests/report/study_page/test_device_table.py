"""Whether devices rank networks alike: over what was measured on both, in numbers and in words."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from msgspec.structs import replace

from gnv2_nas.report.study_page.conditions import list_cautions
from gnv2_nas.report.study_page.device_table import describe_devices, make_device_table
from gnv2_nas.report.study_page.write import write_report
from gnv2_nas.search.analysis.baselines import latency_ratio, latency_ratio_interval
from gnv2_nas.search.analysis.device_ranks import DevicePair, compare_devices
from gnv2_nas.search.analysis.recommendation import recommend
from gnv2_nas.search.analysis.views import list_views
from gnv2_nas.search.study.budgets import parse_budgets, parse_limits
from gnv2_nas.stats.rank_agreement import RankAgreement
from tests.report.studies import on_devices, searched, typical

DEVICES = ("cpu", "npu", "pi5")
RECORD = on_devices(searched(40), {"cpu": 1.0, "npu": 0.6, "pi5": 0.9})


def test_the_devices_that_agree_least_come_first() -> None:
    pairs = compare_devices(RECORD)
    taus = [pair.agreement.tau for pair in pairs if pair.agreement]
    assert len(taus) == 3
    assert taus == sorted(taus)
    assert (pairs[-1].one, pairs[-1].other) == ("cpu", "pi5")


def test_only_networks_that_were_measured_on_both_are_compared() -> None:
    cut = tuple(
        replace(each, latencies={**each.latencies, "pi5": None}) if each.number % 2 else each
        for each in RECORD.trials
    )
    pairs = compare_devices(replace(RECORD, trials=cut))
    compared = {f"{one.one} {one.other}": one.agreement and one.agreement.networks for one in pairs}
    half = (len(cut) + 1) // 2
    assert compared == {"cpu npu": len(cut), "cpu pi5": half, "npu pi5": half}


@pytest.mark.parametrize(
    ("sign", "share", "words"), [(1, "0.0%", "almost alike"), (-1, "100%", "differently")]
)
def test_the_sentence_says_how_many_pairs_change_places(sign: int, share: str, words: str) -> None:
    record = on_devices(typical(20), {"cpu": 1.0, "npu": 1.0})
    trials = []
    for each in record.trials:
        latency = each.measured_on["cpu"]
        other = replace(latency, ms=latency.ms**sign)
        trials.append(replace(each, latencies={"cpu": latency, "npu": other}))
    (sentence,) = describe_devices(compare_devices(replace(record, trials=tuple(trials))))
    assert f"rank {len(trials)} networks {words}: in {share} of all pairs" in sentence


@pytest.mark.parametrize(("tau", "low"), [(1.0, -0.05), (0.73, -0.1), (0.6, 0.3)])
def test_an_interval_that_holds_nearly_every_ranking_tells_nothing(tau: float, low: float) -> None:
    pair = DevicePair("cpu", "pi5", RankAgreement(tau, low, 0.96, 6))
    (sentence,) = describe_devices([pair])
    assert sentence.startswith("6 networks are too few to tell whether cpu and pi5 rank")


def test_what_a_device_lacks_is_told_in_its_views_and_in_that_of_all() -> None:
    cut = tuple(
        replace(each, latencies={**each.latencies, "pi5": None}) if each.number % 2 else each
        for each in RECORD.trials
    )
    record = replace(RECORD, trials=cut)
    told = f"{len(cut) // 2} of {len(cut)} networks have no latency on pi5"
    for view in (record, record.on("pi5")):
        (line,) = (each for each in list_cautions(view, 0, ()) if "no latency" in each)
        assert line.startswith(told)
    assert not any("no latency" in each for each in list_cautions(record.on("cpu"), 0, ()))


def test_too_few_networks_are_not_compared() -> None:
    table = make_device_table(compare_devices(replace(RECORD, trials=RECORD.trials[:3])))
    assert table is not None
    assert "Too few networks" in table.sentences[0]
    assert {row[2] for row in table.rows} == {"too few"}
    assert make_device_table(compare_devices(typical(5))) is None


def test_the_ratio_on_several_devices_is_the_worst() -> None:
    stock = recommend(RECORD).stock
    assert stock is not None
    for trial in RECORD.trials:
        alone = [latency_ratio(trial, stock, device) for device in DEVICES]
        assert latency_ratio(trial, stock) == max(alone)
        low, high = latency_ratio_interval(trial, stock)
        assert low <= max(alone) <= high


@pytest.mark.parametrize(
    ("budgets", "labels"),
    [
        (("8ms,12ms",), ["8ms on all devices", "12ms on all devices", "8ms on cpu", "12ms on cpu",
                         "8ms on pi5", "12ms on pi5"]),
        (("8ms@cpu,12ms@cpu",), ["8ms@cpu on all devices", "12ms@cpu on all devices", "8ms on cpu",
                                 "12ms on cpu", "on pi5"]),
        (("30MFLOPs,40MFLOPs", "8ms"), ["30MFLOPs on all devices", "40MFLOPs on all devices",
                                        "30MFLOPs on cpu", "40MFLOPs on cpu", "30MFLOPs on pi5",
                                        "40MFLOPs on pi5"]),
    ],
)  # fmt: skip
def test_each_device_and_each_limit_has_a_view(budgets: list[str], labels: list[str]) -> None:
    two = on_devices(typical(5), {"cpu": 1.0, "pi5": 0.9})
    names = two.settings.device_labels
    settings = replace(
        two.settings, budgets=parse_budgets(budgets, names), limits=parse_limits(budgets, names)
    )
    assert [view.label for view in list_views(replace(two, settings=settings))] == labels


def test_the_report_has_a_pick_for_all_devices_and_for_each(tmp_path: Path) -> None:
    files = write_report(RECORD, tmp_path)
    text = re.sub(r"<script>.*?</script>", "", files.html.read_text(), flags=re.DOTALL)
    picks = json.loads(files.json.read_text())["picks"]
    for pick, view in zip(picks, [RECORD, *map(RECORD.on, DEVICES)], strict=True):
        best = recommend(view).recommended
        assert best is not None
        assert pick["recommended"] == best.number
        assert html.escape(pick["headline"]) in text
    assert "at least" in picks[0]["headline"]
    for title in ("On all devices", "On cpu", "On npu", "On pi5", "Do the devices agree?"):
        assert f">{title}</h2>" in text
    assert "Runtime</dt>" in text  # the same on all of them
    assert "Device (npu)</dt>" in text
    assert text.count("What each part costs</h2>") == len(DEVICES)
    frame = pd.read_csv(files.csv)
    known = [trial.measured_on["npu"].ms for trial in RECORD.trials]
    assert frame["latency_ms@npu"].tolist() == pytest.approx(known)
    assert "latency_ms" not in frame
