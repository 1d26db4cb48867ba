"""Spaces without some of their axes."""

from __future__ import annotations

import pytest

from gnv2_nas.errors import SpaceError
from gnv2_nas.space import list_spaces, load_space
from gnv2_nas.space.narrowing import remove_axes, searched_axes


def narrow(tmp_path, space, axes):
    path = tmp_path / "narrow.yaml"
    path.write_text(remove_axes(space, axes, "mine", ["found by", "measuring"]))
    return load_space(path)


@pytest.mark.parametrize("name", list_spaces())
def test_only_the_other_axes_are_searched(tmp_path, name):
    space = load_space(name)
    for axis in searched_axes(space):
        found = narrow(tmp_path, space, [axis, "se_ratio"])
        kept = [each for each in searched_axes(space) if each not in (axis, "se_ratio")]
        # Without attention, its kernels change nothing.
        assert set(kept) - set(searched_axes(found)) <= {
            each for each in kept if axis == "placement" and each.startswith("dfc")
        }
        assert axis not in searched_axes(found)
    assert found.description == "mine"


def test_comments_stay_with_their_axes_but_not_that_at_the_top(tmp_path):
    text = remove_axes(load_space("mobile"), ["width", "dfc_pool"], "mine", ["found"])
    assert text.startswith('# found\ndescription: "mine"\nbase:')
    assert "# Stage 1 is a single block.\n  depth:" in text
    without_depth = remove_axes(load_space("mobile"), ["depth"], "mine", [])
    assert "Stage 1 is a single block" not in without_depth
    assert "Every axis, for a device" not in text


def test_a_file_in_another_style_is_written_anew(tmp_path):
    path = tmp_path / "flow.yaml"
    path.write_text(
        "{base: ghostnetv2-1.0, axes: {width: {choices: [1, 1.3]}, divisor: {choices: [4, 8]}}}"
    )
    assert searched_axes(narrow(tmp_path, load_space(path), ["width"])) == ("divisor",)


def test_a_space_with_nothing_to_search_is_refused(tmp_path):
    path = tmp_path / "one.yaml"
    path.write_text("base: ghostnetv2-1.0\naxes:\n  cheap_kernel: {choices: [3, 5]}\n")
    with pytest.raises(SpaceError, match="'one' without cheap_kernel has nothing to search"):
        remove_axes(load_space(path), ["cheap_kernel"], "", [])
