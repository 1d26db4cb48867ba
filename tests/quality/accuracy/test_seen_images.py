"""Where a supernet may have been trained on held-out images, that is said."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from gnv2_nas.cli.training import _from_supernet
from gnv2_nas.quality.accuracy import supernet as supernet_accuracy


@pytest.mark.parametrize(("trained_on", "told"), [("here", False), ("elsewhere", True)])
def test_training_that_goes_on_from_a_supernet(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    trained_on: str,
    told: bool,
) -> None:
    supernet = SimpleNamespace(
        record=SimpleNamespace(data_hash=trained_on),
        score=lambda _: 50.0,
        extract=lambda _: SimpleNamespace(state_dict=dict),
    )
    monkeypatch.setattr(supernet_accuracy, "SupernetAccuracy", lambda *_: supernet)
    _from_supernet(Path("supernet.safetensors"), None, SimpleNamespace(content_hash="here"))
    said = " ".join(capsys.readouterr().err.split())
    assert ("some of which it may have been trained on" in said) is told
