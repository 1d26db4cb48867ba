"""The same question has one name, and is gone on with, however its parts are spelled."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnv2_nas.errors import InputError, StudyError
from gnv2_nas.report.files import report_files
from gnv2_nas.search.storage.format import Beginning
from gnv2_nas.search.storage.studies import check_same_settings
from gnv2_nas.search.study.budgets import parse_budgets
from gnv2_nas.search.study.settings import check_study_name, default_study_name
from gnv2_nas.units import DIMENSIONS, parse_quantity, shortest_quantity
from gnv2_nas.workflows.search.request import SearchRequest
from tests.search.search_helpers import searched, session
from tests.search.study_helpers import PROVENANCE, SETTINGS, append, opened


@pytest.mark.parametrize(
    ("spellings", "name"),
    [
        (("30MFLOPs", "0.03GFLOPs", "30000 kmacs", "3e7FLOPs", "30mflop"), "mobile-30MFLOPs-cpu"),
        (("300MFLOPs", "0.3GFLOPs"), "mobile-300MFLOPs-cpu"),
        (("2GFLOPs", "2000MFLOPs"), "mobile-2GFLOPs-cpu"),
        (("12ms", "0.012s", "12000us"), "mobile-12ms-cpu"),
        (("6Mparams", "6e6params"), "mobile-6Mparams-cpu"),
        (("20MB", "20000kB"), "mobile-20MB-cpu"),
        (("20MiB", "20480KiB"), "mobile-20MiB-cpu"),
        (("20MB:artifact", "20 mb : artifact"), "mobile-20MB-artifact-cpu"),
    ],
)
def test_a_budget_has_one_name(spellings, name):
    asked = [msgspec.structs.replace(SETTINGS, budgets=parse_budgets([text])) for text in spellings]
    assert {default_study_name(each) for each in asked} == {name}
    for each in asked:
        check_same_settings("demo", Beginning(asked[0], PROVENANCE), Beginning(each, PROVENANCE))


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(DIMENSIONS), st.floats(1e-3, 1e12))
def test_the_name_of_a_budget_is_the_budget(dimension, limit):
    read, amount = parse_quantity(shortest_quantity(dimension, limit))
    assert read == dimension
    assert amount == pytest.approx(limit, rel=1e-9)


def test_a_device_and_a_space_are_the_same_by_name_and_by_file(folder):
    profile = folder / "profiles" / "board.v2.yaml"
    profile.parent.mkdir()
    profile.write_text("description: mine\n")
    first = searched(folder, trials=1, devices=("board.v2",))
    for device in (
        "profiles/board.v2.yaml", str(profile), "board.v2.yaml", "./profiles/board.v2.yaml",
    ):  # fmt: skip
        again = session(folder, devices=(device,))
        assert again.resumed
        named = SearchRequest(space="tiny", devices=(device,), quality="params")
        assert named.check().study == "tiny-board.v2"
    (folder / "search_spaces").mkdir()
    (folder / "search_spaces" / "small.yaml").write_text((folder / "small.yaml").read_text())
    assert session(folder, devices=("board.v2",), space="small").resumed
    other = profile.with_name("other.yaml")
    other.write_text(profile.read_text())
    with pytest.raises(StudyError, match=r"made with device board.v2, not other"):
        session(folder, devices=("other",))
    assert first.checked.study == "demo"


def settled(**changed):
    return Beginning(msgspec.structs.replace(SETTINGS, **changed), PROVENANCE)


def test_images_and_weights_are_the_same_wherever_they_are(folder, monkeypatch):
    (folder / "pets").mkdir()
    (folder / "away").mkdir()
    relative, absolute = settled(data="pets"), settled(data=str(folder / "pets"))
    check_same_settings("demo", relative, absolute)
    check_same_settings("demo", absolute, settled(data="away/../pets"))
    moved = settled(data="elsewhere", data_hash="1")
    check_same_settings("demo", settled(data="pets", data_hash="1"), moved)
    weights = settled(quality="supernet:a.safetensors", quality_hash="1")
    check_same_settings(
        "demo", weights, settled(quality="supernet:/b.safetensors", quality_hash="1")
    )
    for there, now in (
        (relative, settled(data="away")),
        (relative, settled()),
        (settled(data="pets", data_hash="2"), moved),
        (settled(data="digits"), settled(data=str(folder / "digits"))),
        (weights, settled(quality="predictor:a.safetensors", quality_hash="1")),
        (weights, settled(quality="supernet:a.safetensors", quality_hash="2")),
    ):
        with pytest.raises(StudyError):
            check_same_settings("demo", there, now)


@pytest.mark.parametrize("sampler", ["predictor", "tpe", "nsga2", "gp"])
def test_a_budget_in_other_words_is_the_same_constraint(folder, sampler):
    searched(folder, trials=3, budgets=("1MFLOPs",), sampler=sampler)
    again = searched(folder, trials=6, budgets=("0.001GFLOPs",), sampler=sampler)
    assert again.resumed
    assert [budget.text for budget in again.checked.settings.budgets] == ["1MFLOPs"]
    found = [trial for trial in again.store.frozen_trials() if trial.params]
    assert len(found) == 6
    assert [list(trial.constraints) for trial in found] == [["macs"]] * 6


def test_a_long_name_works_and_one_beyond_the_tables_is_refused(folder):
    name = "n" * 200
    append(opened("sqlite:///studies.db", name), 0)
    files = report_files(name, folder)
    files.html.write_text("")
    assert files != report_files(name + "n", folder)
    check_study_name("n" * 512)
    with pytest.raises(InputError, match=r"up to 512 characters, but this one has 513; choose"):
        check_study_name("n" * 513)
