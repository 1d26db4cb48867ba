"""The code in docs/networks.md runs, and its numbers are so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from gnv2_nas.arch import preset
from gnv2_nas.graph import count
from tests.networks import random_model

PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")


def test_the_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arch = preset("ghostnetv2-1.0")
    torch.save(random_model(arch).state_dict(), "ghostnetv2-1.0.pth")
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    exec("\n".join(blocks), {})  # noqa: S102
    assert capsys.readouterr().out == f"{arch.id} 167.0 MFLOPs 6.16 M parameters\n"
    assert Path("ghostnetv2-1.0.safetensors").is_file()


def test_the_numbers_are_so() -> None:
    assert f"{count(preset('ghostnetv2-1.0')).macs / 1e6:.1f} M" in PAGE
    assert round((28 * 28) ** 2, -5) == 600_000
