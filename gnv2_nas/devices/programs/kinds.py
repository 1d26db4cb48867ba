"""The benchmark programs that a device profile can name, and how each is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from gnv2_nas.devices.programs.readings import (
    Reading,
    read_benchmark_model,
    read_executor_runner,
    read_litert_benchmark,
    read_trtexec,
)
from gnv2_nas.runtimes.base import Precision, RuntimeName

KindName = Literal["benchmark_model", "executor_runner", "litert-benchmark", "trtexec"]


class Task(msgspec.Struct, frozen=True):
    """One run of a program."""

    file: str
    """Path of the network on the device."""
    threads: int
    precision: Precision
    warm_up: int
    """Calls before those that count."""
    calls: int
    """Calls that count."""


Build = Callable[[Task, str], list[str]]
"""From a task and the path of an engine to the arguments that build it from the task's file."""


class ProgramKind(msgspec.Struct, frozen=True):
    """A benchmark program."""

    runtime: RuntimeName
    """The runtime whose files it runs."""
    precisions: tuple[Precision, ...]
    arguments: Callable[[Task], list[str]]
    read: Callable[[str], Reading | None]
    """Returns the times in its output, or None if there are none."""
    advice: str
    """What to do if it prints no times."""
    build: Build | None = None
    """Turns the network's file into an engine for this device; None if the program runs the file as
    it is."""


def _benchmark_model(task: Task) -> list[str]:
    return [
        f"--graph={task.file}", f"--num_threads={task.threads}", "--use_xnnpack=true",
        f"--xnnpack_force_fp16={str(task.precision == 'fp16').lower()}",
        f"--warmup_runs={task.warm_up}", "--warmup_min_secs=0",
        f"--num_runs={task.calls}", "--min_secs=0",
    ]  # fmt: skip


def _litert_benchmark(task: Task) -> list[str]:
    return [
        f"--model={task.file}", f"--num_threads={task.threads}",
        f"--warmup_runs={task.warm_up}", f"--num_runs={task.calls}",
    ]  # fmt: skip


def _executor_runner(task: Task) -> list[str]:
    return [
        f"--model_path={task.file}", f"--cpu_threads={task.threads}",
        f"--num_executions={task.warm_up + task.calls}",
    ]  # fmt: skip


def _trtexec(task: Task) -> list[str]:
    # The warm-up is in milliseconds, and it always runs for 3 s if no duration is given.
    return [
        f"--loadEngine={task.file}", "--warmUp=100", "--duration=0", f"--iterations={task.calls}",
    ]  # fmt: skip


def _build_engine(task: Task, engine: str) -> list[str]:
    # TensorRT computes float32 in TF32 otherwise, which has the mantissa of float16.
    precision = {"fp32": ["--noTF32"], "int8": ["--int8"]}.get(task.precision, [])
    return [
        f"--onnx={task.file}", f"--saveEngine={engine}", *precision,
        "--warmUp=0", "--duration=0", "--iterations=1",
    ]  # fmt: skip


KINDS: Mapping[KindName, ProgramKind] = {
    "benchmark_model": ProgramKind(
        "litert", ("fp32", "fp16"), _benchmark_model, read_benchmark_model,
        "it should print 'Inference (avg)', as TensorFlow's since 2.2 does",
    ),
    "litert-benchmark": ProgramKind(
        "litert", ("fp32",), _litert_benchmark, read_litert_benchmark,
        "it should print 'Inference (median)', as that of ai-edge-litert 2.3 does",
    ),
    "executor_runner": ProgramKind(
        "executorch", ("fp32",), _executor_runner, read_executor_runner,
        "build it with -DEXECUTORCH_ENABLE_LOGGING=ON, from ExecuTorch 0.7 or later",
    ),
    "trtexec": ProgramKind(
        "onnxruntime", ("fp32", "int8"), _trtexec, read_trtexec,
        "it should print 'GPU Compute Time', as that of TensorRT 8 and later does", _build_engine,
    ),
}  # fmt: skip
