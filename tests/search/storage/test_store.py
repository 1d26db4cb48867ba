"""Studies on disk: what is stored comes back, and what does not fit is refused."""

from __future__ import annotations

import optuna
import pytest

from gnv2_nas.arch import list_presets
from gnv2_nas.errors import StudyError, UnknownNameError
from gnv2_nas.search.analysis.baselines import preset_name
from gnv2_nas.search.storage.studies import open_study, study_names
from tests.search.search_helpers import STORAGE, searched, session
from tests.search.spaces import SIX, WITH_STOCK


def test_a_study_comes_back_as_it_was(folder):
    asked = {"budgets": ("1MFLOPs", "2Mparams"), "command": "gnv2-nas search", "sampler": "nsga2"}
    store = searched(folder, **asked).store
    record = open_study(STORAGE, "demo").record()
    assert record == store.record()
    assert record.name == "demo"
    assert (record.provenance.sampler, record.provenance.seed, record.provenance.command) == (
        "nsga2",
        0,
        "gnv2-nas search",
    )
    assert [budget.text for budget in record.settings.budgets] == ["1MFLOPs", "2Mparams"]
    assert record.settings.objectives == ("quality", "macs")
    assert record.progress.proposed >= 8
    assert [each.number for each in record.trials] == list(range(len(record.trials)))


def test_each_candidate_holds_its_network_and_its_counts(folder):
    opened = searched(folder, budgets=("1MFLOPs",))
    for each in opened.store.record().trials:
        assert each.counts.params / 1e6 == pytest.approx(each.quality)
        assert each.latency is None
        assert each.feasible == (each.counts.macs <= 1e6)
        assert each.broken_budgets == (
            {} if each.feasible else {"1MFLOPs": pytest.approx(each.counts.macs / 1e6 - 1)}
        )
        if each.baseline:
            assert preset_name(each.baseline) in list_presets()
            assert each.params == {}
        else:
            assert opened.checked.space.decode(each.params) == each.architecture
            assert each.feasible


def test_optuna_reads_the_same_file(folder):
    record = searched(folder).store.record()
    study = optuna.load_study(study_name="demo", storage=STORAGE)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * len(record.trials)
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    for trial, each in zip(study.trials, record.trials, strict=True):
        assert trial.user_attrs["architecture"] == each.architecture.to_json()
        assert trial.params == each.params
        assert trial.values == [each.quality, each.counts.macs]


def test_stock_networks_of_the_space_are_baselines_with_a_genotype(folder):
    opened = searched(folder, WITH_STOCK, trials=1)
    inside = {each.baseline: each for each in opened.store.record().trials if each.params}
    space = opened.checked.space
    for name in ("ghostnet-1.0 at 32 px", "ghostnetv2-1.0 at 32 px"):
        assert space.decode(inside[name].params) == inside[name].architecture
        assert (inside[name].architecture.resolution, space.num_classes) == (32, 10)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"budgets": ("2MFLOPs",)}, "budgets 1MFLOPs, not 2MFLOPs"),
        ({"budgets": ()}, "budgets 1MFLOPs, not none"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"sampler": "random"}, "sampler nsga2, not random"),
        ({"objectives": "quality"}, "objectives quality,macs, not quality"),
        ({"quality": "zen"}, "quality params, not zen"),
        ({"text": SIX}, "another content of space 'small' ("),
    ],
)
def test_going_on_with_other_settings_is_refused(folder, changed, message):
    asked = {"budgets": ("1MFLOPs",), "sampler": "nsga2"}
    searched(folder, trials=1, **asked)
    before = open_study(STORAGE, "demo").record()
    with pytest.raises(StudyError) as caught:
        session(folder, **asked | changed)
    assert f"study 'demo' was made with {message}" in str(caught.value)
    assert "choose another --study" in str(caught.value)
    assert open_study(STORAGE, "demo").record() == before


def test_a_device_whose_file_has_changed_is_refused(folder):
    profile = folder / "profiles" / "board.yaml"
    profile.parent.mkdir()
    profile.write_text("description: mine\n")
    searched(folder, trials=1, devices=("board",))
    profile.write_text("description: put in other words\n")
    assert session(folder, devices=("board",)).resumed
    profile.write_text("description: mine\nthreads: 2\n")
    with pytest.raises(StudyError, match="another content of device 'board'"):
        session(folder, devices=("board",))


def test_the_same_limits_in_other_words_go_on(folder):
    searched(folder, trials=1, budgets=("1MFLOPs", "2Mparams"))
    assert session(folder, budgets=("2e6 params", "1000kmacs")).resumed


def test_another_name_in_the_same_file_is_another_study(folder):
    searched(folder, trials=1)
    searched(folder, SIX, trials=2, study="other")
    assert sorted(study_names(STORAGE)) == ["demo", "other"]
    sizes = [len(open_study(STORAGE, name).record().trials) for name in ("demo", "other")]
    assert sizes[1] == sizes[0] + 1


def test_an_unknown_study_is_answered_with_those_there(folder):
    with pytest.raises(UnknownNameError, match="make one with gnv2-nas search"):
        open_study(STORAGE, "demo")
    searched(folder, trials=1)
    with pytest.raises(UnknownNameError, match="unknown study 'dem'; did you mean 'demo'"):
        open_study(STORAGE, "dem")


def test_a_study_of_another_program_is_refused_and_left_alone(folder):
    foreign = optuna.create_study(
        study_name="demo", storage=STORAGE, directions=["maximize", "minimize"]
    )
    foreign.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=2)
    for opening in (lambda: session(folder), lambda: open_study(STORAGE, "demo")):
        with pytest.raises(StudyError, match=r"'demo' in .* was made by another program"):
            opening()
    again = optuna.load_study(study_name="demo", storage=STORAGE)
    assert len(again.trials) == 2
    assert again.user_attrs == {}


@pytest.mark.parametrize(
    ("key", "value"), [("gnv2_nas:study", {"format": 99}), ("gnv2_nas:format", 99)]
)
def test_a_study_of_a_newer_format_is_refused(folder, key, value):
    study = optuna.create_study(
        study_name="demo", storage=STORAGE, directions=["maximize", "minimize"]
    )
    study.set_user_attr(key, value)
    with pytest.raises(StudyError, match="was made by format 99 of this program"):
        session(folder)


@pytest.mark.parametrize("kept", ["", "gnv2_nas:settings", "gnv2_nas:progress"])
def test_a_study_whose_making_was_cut_short_is_made_anew(folder, kept):
    """A kill between the transactions that make a study must not lock its name."""
    half = optuna.create_study(
        study_name="demo", storage=STORAGE, directions=["maximize", "minimize"]
    )
    if kept:
        half.set_user_attr(kept, {"proposed": 5})
    store = searched(folder, trials=2).store
    assert store.settings.quality == "params"
    assert len(open_study(STORAGE, "demo").record().trials) >= 2


def test_an_empty_study_of_other_objectives_is_refused(folder):
    optuna.create_study(study_name="demo", storage=STORAGE, directions=["minimize"] * 2)
    with pytest.raises(StudyError, match="was made for other objectives"):
        session(folder)
