"""What every quality estimator must do; test modules subclass `EstimatorContract`."""

from __future__ import annotations

import functools
import json
import math
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.quality import QualityContext, QualityEstimator, check_estimator, get_estimator

ROOT = Path(__file__).parents[2]
SMALL = {
    name: preset(name).replace(resolution=32, num_classes=10)
    for name in ("ghostnetv2-1.0", "mobilenetv3-large-0.75")
}
IN_FRESH_PROCESS = """
import importlib, json, sys
from gnv2_nas.arch import Architecture
from gnv2_nas.quality import get_estimator
module, contract, specs, texts = sys.argv[1:]
context = getattr(importlib.import_module(module), contract).context()
networks = [Architecture.from_json(text) for text in json.loads(texts)]
scores = {}
for spec in json.loads(specs):
    estimator = get_estimator(spec, context)
    scores[spec] = [estimator.score(network) for network in networks]
print(json.dumps(scores))
"""


@functools.cache
def scores_of_fresh_process(
    contract: type[EstimatorContract], specs: tuple[str, ...]
) -> dict[str, list[float]]:
    """Of the contract's networks by each of the estimators; a process starts once for all."""
    texts = json.dumps([arch.to_json() for arch in contract.networks.values()])
    command = [
        sys.executable, "-c", IN_FRESH_PROCESS,
        contract.__module__, contract.__name__, json.dumps(specs), texts,
    ]  # fmt: skip
    fresh = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert fresh.returncode == 0, fresh.stderr
    scores: dict[str, list[float]] = json.loads(fresh.stdout)
    return scores


class EstimatorContract(ABC):
    """Give `spec`; `context` and `networks` too where the estimator needs data or a space."""

    networks: Mapping[str, Architecture] = SMALL
    """At least two that it can score."""
    tolerance = 1e-6
    """Relative difference of the score of one network in two processes."""
    together: tuple[str, ...] = ()
    """Estimators, `spec` among them, that share one fresh process."""

    @pytest.fixture
    @abstractmethod
    def spec(self) -> str:
        """NAME or NAME:FILE, the file by its whole path."""
        ...

    @staticmethod
    def context() -> QualityContext:
        """Called once more in a fresh process, so it must not depend on fixtures."""
        return QualityContext()

    @pytest.fixture
    def estimator(self, spec) -> QualityEstimator:
        return get_estimator(spec, self.context())

    def first(self) -> Architecture:
        return next(iter(self.networks.values()))

    def test_it_is_found_by_its_name(self, estimator, spec):
        assert estimator.info.name == check_estimator(spec).name == spec.partition(":")[0]

    def test_the_label_says_what_it_is_and_what_it_costs(self, estimator):
        info = estimator.info
        assert info.title.lower() == info.in_text.lower()
        assert info.note
        assert info.cost
        assert info.noise >= 0
        assert ("not an accuracy" in info.note) == (not info.is_accuracy)
        assert info.unit == ("%" if info.is_accuracy else "")

    def test_scores_are_finite_and_the_same_in_every_process(self, spec):
        fresh = scores_of_fresh_process(type(self), self.together or (spec,))[spec]
        # In another order, and after one another, too.
        estimator = get_estimator(spec, self.context())
        here = [estimator.score(arch) for arch in reversed(self.networks.values())]
        assert here[::-1] == pytest.approx(fresh, rel=self.tolerance)
        for score in here:
            assert isinstance(score, float)
            assert math.isfinite(score)
            assert not estimator.info.is_accuracy or 0 <= score <= 100

    def test_scoring_neither_uses_nor_changes_the_state_of_torch(self, spec):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        threads, number = torch.get_num_threads(), torch.get_default_dtype()
        one = get_estimator(spec, self.context()).score(self.first())
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.is_grad_enabled()
        assert torch.get_num_threads() == threads
        assert torch.get_default_dtype() == number
        torch.manual_seed(2)
        other = get_estimator(spec, self.context()).score(self.first())
        assert other == pytest.approx(one, rel=self.tolerance)
