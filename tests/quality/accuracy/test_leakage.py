"""Where a supernet may have been trained on held-out images, that is said."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from gnv2_nas.quality.accuracy import supernet as supernet_accuracy
from gnv2_nas.workflows.events import Message
from gnv2_nas.workflows.references import extract_from_supernet


@pytest.mark.parametrize(("trained_on", "told"), [("here", False), ("elsewhere", True)])
def test_training_that_goes_on_from_a_supernet(
    monkeypatch: pytest.MonkeyPatch,
    trained_on: str,
    told: bool,
) -> None:
    supernet = SimpleNamespace(
        record=SimpleNamespace(data_hash=trained_on),
        score=lambda _: 50.0,
        extract=lambda _: SimpleNamespace(state_dict=dict),
    )
    monkeypatch.setattr(supernet_accuracy, "SupernetAccuracy", lambda *_: supernet)
    events: list[Message] = []
    dataset = SimpleNamespace(content_hash="here")
    extract_from_supernet(Path("supernet.safetensors"), None, dataset, events.append)
    said = " ".join(event.text for event in events)
    assert ("some of which it may have been trained on" in said) is told
