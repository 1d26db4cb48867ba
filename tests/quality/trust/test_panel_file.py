"""The file of trust panels, and which score they speak for."""

from __future__ import annotations

import msgspec
import pytest

from gnv2_nas.files.writing import built_in_folder
from gnv2_nas.graph import count
from gnv2_nas.quality.trust.panel import choose_score
from gnv2_nas.quality.trust.panel_file import (
    TRUST,
    find_trust,
    find_trust_of_other_form,
    save_trust,
    trust_path,
)
from gnv2_nas.search.analysis.recommendation import choose_quality
from gnv2_nas.search.study import defaults
from gnv2_nas.space import SearchSpace, load_space
from gnv2_nas.stats.rank_agreement import RankAgreement
from tests.report.panels import panel, trust


@pytest.fixture
def nothing_built_in(tmp_path, monkeypatch):
    """An empty working directory, and no panel in the package."""
    monkeypatch.setattr(
        "gnv2_nas.quality.trust.panel_file.built_in_folder", lambda _: tmp_path / "none"
    )
    monkeypatch.chdir(tmp_path)


def test_what_ships_with_a_space_is_about_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = sorted(built_in_folder("search_spaces").glob("*.trust.json"))
    assert shipped
    for path in shipped:
        space = load_space(path.name.removesuffix(".trust.json"))
        panels = find_trust(space) or find_trust_of_other_form(space)
        assert panels
        assert len({one.data for one in panels}) == len(panels)
        for one in panels:
            assert all(count(each.architecture).macs == each.macs for each in one.networks)
            assert any(each.band for each in one.estimators)


@pytest.mark.usefixtures("nothing_built_in")
def test_it_is_found_by_what_the_space_is(by_macs, space):
    assert find_trust(space) == ()
    save_trust(by_macs)
    assert find_trust(space) == (by_macs,)
    assert find_trust(space.with_classes(37)) == (by_macs,)
    path = trust_path("tiny")
    path.write_bytes(path.read_bytes().replace(b'"space_hash": "', b'"space_hash": "x'))
    assert find_trust(space) == ()


def write_tiny(old: str, new: str) -> SearchSpace:
    """`tiny` of the working directory: the built-in one with another text."""
    text = (built_in_folder("search_spaces") / "tiny.yaml").read_text(encoding="utf-8")
    assert old in text
    path = trust_path("tiny").with_name("tiny.yaml")
    path.write_text(text.replace(old, new), encoding="utf-8")
    return load_space("tiny")


@pytest.mark.usefixtures("nothing_built_in")
def test_networks_of_a_space_before_it_had_an_axis_are_shown_but_choose_nothing(by_macs, space):
    save_trust(by_macs)
    assert choose_quality(space) == "macs"
    assert find_trust_of_other_form(space) == ()
    wider = write_tiny("axes:\n", "axes:\n  ghost:\n    choices: [concat, add]\n")
    assert find_trust(wider) == ()
    assert choose_quality(wider) == defaults.QUALITY
    (found,) = find_trust_of_other_form(wider)
    assert found == msgspec.structs.replace(by_macs, unvaried=("ghost",))
    assert by_macs.origin() == ""
    assert found.origin() == (
        f"The networks trained on {by_macs.data} belong to space tiny, but were drawn from another "
        "form of it: ghost is the same in all of them."
    )


@pytest.mark.usefixtures("nothing_built_in")
def test_networks_that_a_space_no_longer_has_say_nothing_about_it(by_macs, space):
    save_trust(by_macs)
    narrower = write_tiny("axes:\n", "axes:\n  ghost:\n    choices: [add]\n")
    assert find_trust(narrower) == find_trust_of_other_form(narrower) == ()


@pytest.mark.usefixtures("nothing_built_in")
def test_a_space_has_one_panel_for_each_set_of_images(by_macs, by_params, space):
    letters, icons = (
        msgspec.structs.replace(panel, data=data)
        for panel, data in ((by_macs, "letters"), (by_params, "icons"))
    )
    save_trust(letters)
    save_trust(icons)
    assert find_trust(space) == (letters, icons)
    again = msgspec.structs.replace(letters, seconds=1.0)
    save_trust(again)
    assert find_trust(space) == (icons, again)


@pytest.mark.usefixtures("nothing_built_in")
def test_the_file_of_an_earlier_version_holds_a_single_panel(by_macs, space):
    trust_path("tiny").parent.mkdir()
    trust_path("tiny").write_bytes(msgspec.json.encode(by_macs))
    assert TRUST.is_one(trust_path("tiny"))
    assert find_trust(space) == (by_macs,)
    other = msgspec.structs.replace(by_macs, data="letters")
    save_trust(other)
    assert TRUST.is_one(trust_path("tiny"))
    assert find_trust(space) == (by_macs, other)


def test_a_score_must_beat_the_parameter_count_on_all_images(by_macs, by_params):
    assert choose_score([by_macs]) == "macs"
    assert choose_score([by_params]) == ""
    assert choose_score([by_macs, by_params]) == ""
    assert choose_score([by_macs, by_macs]) == "macs"
    assert choose_score([]) == ""


def test_of_several_such_scores_the_best_on_average_is_chosen():
    better = (0.4, 0.1, 0.7)
    first = panel(trust("zen", 0.9, better), trust("naswot", 0.6, better))
    second = panel(trust("zen", 0.25, better), trust("naswot", 0.6, better))
    assert choose_score([first]) == "zen"
    assert choose_score([first, second]) == "naswot"
    # Better than a parameter count that is worse than chance, but no better than chance.
    assert choose_score([panel(trust("zen", 0.1, better))]) == ""
    # An accuracy needs images, which a search without any has not.
    assert choose_score([panel(trust("supernet:a.safetensors", 0.9, better))]) == ""


@pytest.mark.parametrize("content", ["", "[]", '{"space": "tiny"}', "\x80\x04", "[" * 100_000])
@pytest.mark.usefixtures("nothing_built_in")
def test_a_file_that_is_no_panel_is_passed_over(content, space):
    trust_path("tiny").parent.mkdir()
    trust_path("tiny").write_text(content)
    assert find_trust(space) == ()


def test_the_gains_of_an_older_panel_are_worked_out_anew(by_macs, space, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    collapsed = RankAgreement(0.5, 0.5, 0.5, 8)
    older = [
        msgspec.structs.replace(each, gain_band=collapsed, gain_overall=collapsed)
        for each in by_macs.estimators
    ]
    save_trust(msgspec.structs.replace(by_macs, estimators=tuple(older)))
    assert find_trust(space) == (by_macs,)
