"""The runner with ncnn on another architecture: what it computes, and in which order.

The processor is emulated, so no time is looked at, except to tell networks apart.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.devices.runner_file import runner_bytes
from gnv2_nas.measurement.plan import draw_order
from gnv2_nas.runtimes.base import get_runtime
from gnv2_nas.runtimes.parity import difference, expected_logits
from tests.measurement.networks import tiny_ghost
from tests.runner.arm_machine import arm_python
from tests.runtimes.runtime_contract import random_networks

STOCK = {name: preset(name) for name in ("ghostnet-1.0", "ghostnetv2-1.0")}
NETWORKS = STOCK | {f"random {number}": arch for number, arch in enumerate(random_networks(3))}
SIZES = [tiny_ghost(32), tiny_ghost(96), tiny_ghost(288)]
"""Each takes about ten times as long as the one before."""
ROUNDING = 1e-5
"""Allowed difference at fp32, relative to the largest logit: 7e-7 was seen, and 3e-3 at fp16."""


class Board:
    """A runner on the Arm machine, which answers command by command."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder
        self._count = 0
        self.machine = self.answer("ready")["machine"]

    def tell(self, *command: object) -> None:
        assert self._process.stdin is not None
        print(*command, file=self._process.stdin, flush=True)

    def answer(self, event: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        found = json.loads(self._process.stdout.readline())
        assert found["event"] == event, found
        return found

    def add(self, arch: Architecture) -> int:
        """Bring a network to the machine; return its number."""
        number, self._count = self._count, self._count + 1
        paths = []
        for suffix, content in get_runtime("ncnn").write(arch).items():
            paths.append(self._folder / f"{number}{suffix}")
            paths[-1].write_bytes(content)
        self.tell("network", number, *paths)
        return number

    def logits(self, arch: Architecture) -> np.ndarray[Any, Any]:
        self.tell("load", self.add(arch))
        return np.array([self.answer("loaded")["logits"]], np.float32)


@contextmanager
def start_board(folder: Path, *options: str) -> Iterator[Board]:
    try:
        python = arm_python()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    runner = folder / "runner.pyz"
    runner.write_bytes(runner_bytes())
    with subprocess.Popen(
        [*python, str(runner), "ncnn", *options], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        yield Board(process, folder)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with start_board(tmp_path_factory.mktemp("board")) as started:
        yield started


def test_it_is_another_architecture(board):
    assert board.machine["system"].endswith(" aarch64")
    assert board.machine["engine"] == get_runtime("ncnn").version().split()[-1]


@pytest.mark.parametrize("name", NETWORKS)
def test_fp32_computes_what_torch_computes(board, name):
    arch = NETWORKS[name]
    assert difference(board.logits(arch), expected_logits(arch)) < ROUNDING


def test_fp16_which_ncnn_uses_on_arm_unless_told_otherwise_is_told_apart(tmp_path):
    """So the test above fails where fp32 is asked for and fp16 computed."""
    arch = NETWORKS["random 0"]
    with start_board(tmp_path, "--precision", "fp16") as half:
        apart = difference(half.logits(arch), expected_logits(arch))
    assert 100 * ROUNDING < apart < 0.05


def test_rounds_visit_networks_in_the_order_of_the_plan(board):
    numbers = [board.add(arch) for arch in SIZES]
    order = draw_order(len(SIZES), 4, 1e6, random.Random(0))
    assert len({tuple(each) for each in order.rounds}) > 2

    def words(order: Sequence[int]) -> str:
        return ",".join(str(numbers[each]) for each in order)

    board.tell("session", order.seconds, words(order.loading), ";".join(map(words, order.rounds)))
    visits: list[Any] = []
    while len(visits) < len(order.rounds):
        visits += board.answer("rounds")["rounds"]
    board.answer("done")
    for sequence, visited in zip(order.rounds, visits, strict=True):
        busy = dict(zip(sequence, [each[3] for each in visited], strict=True))
        assert sorted(busy, key=busy.__getitem__) == [0, 1, 2]
