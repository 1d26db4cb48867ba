"""The supernet: switching networks, evaluation, and a training step in each memory format."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial

import torch
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from benchmarks.table import median_seconds, milliseconds, table
from gnv2_nas.arch import Architecture
from gnv2_nas.graph import lower
from gnv2_nas.nn import build_model, fold_batch_norm, run_graph
from gnv2_nas.nn.supernet import Supernet, recalibrate
from gnv2_nas.space import load_space

RANDOM_NETWORKS = 20
NETWORKS = 3
BATCH = 128
CALIBRATION_BATCHES = 4
HELD_OUT_BATCHES = 3
TRAINING_BATCH = 64

Row = tuple[str, str, str]


def run() -> Table:
    torch.manual_seed(0)
    rows = [*_switching("tiny"), *_switching("mobile"), *_evaluation(), *_training()]
    title = "Supernet (promised: change in 5 ms, evaluation 1.15 of bare forward passes)"
    return table(title, ("", "median", "÷ first of its kind"), rows)


def _switching(name: str) -> Iterable[Row]:
    """Weights and graph of another network, compared with building its module."""
    space = load_space(name)
    supernet, rng = Supernet(space.supernet_spec), random.Random(0)
    largest = space.decode(space.largest())
    others = [space.sample(rng) for _ in range(RANDOM_NETWORKS)]

    def switch(arch: Architecture) -> None:
        supernet.tensors(arch)
        lower(arch)

    fresh = median_seconds(partial(build_model, largest), 3)
    yield f"{name}: the module of the largest network, built", milliseconds(fresh), "1"
    for purpose, scoring in (("scoring", True), ("training", False)):
        with torch.inference_mode(scoring):
            own = median_seconds(partial(switch, largest), 15)
            times = [median_seconds(partial(switch, arch), 3) for arch in others]
        for which, seconds in (("the largest", own), ("a random one", statistics.median(times))):
            label = f"{name}: change to {which}, for {purpose}"
            yield label, milliseconds(seconds), f"{seconds / fresh:.2g}"


def _evaluation() -> Iterable[Row]:
    """Switch, recalibrate and score, compared with the module's forward passes alone."""
    space = load_space("tiny")
    supernet, rng = Supernet(space.supernet_spec), random.Random(0)
    networks = [space.sample(rng) for _ in range(NETWORKS)]
    spent: dict[str, list[float]] = {}
    for arch in networks:
        for name, seconds in _evaluations(supernet, arch).items():
            spent.setdefault(name, []).append(seconds)
    bare = spent["bare forward passes"]
    for name, times in spent.items():
        ratio = statistics.median(mine / base for mine, base in zip(times, bare, strict=True))
        yield f"tiny, random: {name}", milliseconds(statistics.median(times)), f"{ratio:.2f}"


def _evaluations(supernet: Supernet, arch: Architecture) -> dict[str, float]:
    images = torch.randn(BATCH, 3, arch.resolution, arch.resolution)
    last = images.contiguous(memory_format=torch.channels_last)
    statistics = recalibrate(arch, supernet.tensors(arch), [images])
    model = supernet.extract(arch, statistics)
    return _time_alternating(
        {
            "bare forward passes": partial(_forward, model, images),
            "the same, channels last": partial(_forward, model, last),
            "change, recalibrate, score": partial(_evaluate, supernet, arch, images),
            "the same, channels last as search does": partial(_evaluate, supernet, arch, last),
        }
    )


@torch.inference_mode()
def _forward(model: torch.nn.Module, images: Tensor) -> None:
    for _ in range(CALIBRATION_BATCHES + HELD_OUT_BATCHES):
        model(images)


@torch.inference_mode()
def _evaluate(supernet: Supernet, arch: Architecture, images: Tensor) -> None:
    tensors = supernet.tensors(arch)
    statistics = recalibrate(arch, tensors, [images] * CALIBRATION_BATCHES)
    graph, weights = fold_batch_norm(lower(arch), tensors, statistics)
    for _ in range(HELD_OUT_BATCHES):
        run_graph(graph, weights, images)


def _training() -> Iterable[Row]:
    """Forward and backward pass of a random network of `tiny`."""
    space = load_space("tiny")
    supernet, sample = Supernet(space.supernet_spec), space.sample(random.Random(0))
    for resolution in space.resolutions:
        arch = sample.replace(resolution=resolution)
        images = torch.randn(TRAINING_BATCH, 3, resolution, resolution)
        last = images.contiguous(memory_format=torch.channels_last)
        spent = _time_alternating(
            {
                "NCHW": partial(_step, supernet, arch, images),
                "channels last": partial(_step, supernet, arch, last),
                "channels last, bfloat16": partial(_step, supernet, arch, last, torch.bfloat16),
            }
        )
        for name, seconds in spent.items():
            label = f"tiny, random: training step, {TRAINING_BATCH} x {resolution} px, {name}"
            yield label, milliseconds(seconds), f"{seconds / spent['NCHW']:.2f}"


def _step(
    supernet: Supernet, arch: Architecture, images: Tensor, dtype: torch.dtype | None = None
) -> None:
    labels = torch.arange(len(images)) % arch.num_classes
    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        logits = supernet(images, arch)
    F.cross_entropy(logits.float(), labels).backward()
    supernet.zero_grad(set_to_none=True)


def _time_alternating(calls: dict[str, Callable[[], None]], rounds: int = 3) -> dict[str, float]:
    """Median seconds of each call; the calls alternate, so that load affects all equally."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if number:  # the first round warms up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in times.items()}
