"""What a search maximises when it is not told: what trained networks speak for, else the usual."""

from __future__ import annotations

import pytest

from gnv2_nas.quality.trust.panel_file import save_trust
from gnv2_nas.search.analysis.recommendation import choose_quality
from gnv2_nas.search.study import defaults
from gnv2_nas.workflows.search.request import SearchRequest
from tests.report.panels import panel, trust
from tests.search.spaces import SIX, SMALL, space_of, write_space

BETTER, UNSURE, WORSE = (0.5, 0.2, 0.7), (0.3, -0.1, 0.6), (-0.2, -0.5, 0.1)


@pytest.mark.parametrize(
    ("estimators", "quality"),
    [
        ((trust("zen", 0.1, WORSE), trust("naswot", 0.8, BETTER)), "naswot"),
        ((trust("synflow", 0.6, UNSURE),), defaults.QUALITY),
        ((trust("zen", 0.1, WORSE), trust("naswot", 0.2, WORSE)), defaults.QUALITY),
        # An accuracy needs images or a file, which nobody has given.
        ((trust("supernet:supernet.safetensors", 0.9, BETTER),), defaults.QUALITY),
    ],
)
def test_the_score_that_is_better_than_the_parameter_count(folder, estimators, quality):
    space = space_of(folder, SMALL)
    save_trust(panel(*estimators, space=space))
    assert choose_quality(space) == quality
    assert choose_quality(space.with_classes(5)) == quality
    asked = SearchRequest(space=str(write_space(folder, SMALL)))
    assert asked.check().settings.quality == quality
    named = SearchRequest(space=str(write_space(folder, SMALL)), quality="params")
    assert named.check().settings.quality == "params"


def test_evidence_on_another_space_of_that_name_does_not_count(folder):
    save_trust(panel(trust("naswot", 0.8, BETTER), space=space_of(folder, SMALL)))
    assert choose_quality(space_of(folder, SIX)) == defaults.QUALITY


def test_a_space_that_nobody_checked_has_the_usual_score(folder):
    assert choose_quality(space_of(folder, SMALL)) == defaults.QUALITY
