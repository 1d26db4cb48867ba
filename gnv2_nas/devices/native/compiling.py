"""How the native runner is compiled: ncnn with CMake, Ninja and zig, then `runner.cpp` with it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from gnv2_nas.devices.native.sources import NCNN_VERSION, explain_failure
from gnv2_nas.runner import conditions, machine, serve

Target = Literal["aarch64", "armv7", "x86_64"]
Progress = Callable[[str], None]
"""Receives one line about each step."""


class TargetOptions(msgspec.Struct, frozen=True):
    """How to compile for a processor family."""

    triple: str
    """zig's name of processor, system and C library."""
    features: tuple[str, ...]
    """Extensions whose code ncnn chooses when it runs. The others are for int8."""
    processor: str = ""
    """zig's name of the oldest processor; "" for that of the triple."""
    flags: str = ""
    """More options of the compiler."""


TARGETS: Mapping[Target, TargetOptions] = {
    "aarch64": TargetOptions(
        "aarch64-linux-musl", ("VFPV4", "ARM82", "ARM82DOT", "ARM82FP16FML", "ARM84BF16")
    ),
    "armv7": TargetOptions("arm-linux-musleabihf", ("VFPV4",), "generic+v7a+neon"),
    "x86_64": TargetOptions(
        "x86_64-linux-musl",
        ("SSE2", "AVX", "FMA", "F16C", "AVX2", "AVX512", "AVX512BF16"),
        # LLVM's loop strength reduction gives the innermost loops an index register, and Intel's
        # processors split each multiply-add with one: 2 % slower than the code of GCC.
        flags="-mllvm -disable-lsr",
    ),
}
LAYERS = frozenset(
    {"binaryop", "concat", "convolution", "convolutiondepthwise", "crop", "hardsigmoid",
     "hardswish", "innerproduct", "input", "interp", "pooling", "relu", "sigmoid", "split",
     # ncnn inserts these.
     "cast", "flatten", "packing", "padding"}
)  # fmt: skip
"""ncnn's layers that the package's networks contain, see `formats.ncnn.param`."""
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release", "CMAKE_SYSTEM_NAME": "Linux", "NCNN_BUILD_BENCHMARK": "OFF",
    "NCNN_BUILD_EXAMPLES": "OFF", "NCNN_BUILD_TOOLS": "OFF", "NCNN_C_API": "OFF",
    "NCNN_INSTALL_SDK": "OFF", "NCNN_INT8": "OFF", "NCNN_OPENMP": "ON", "NCNN_PIXEL": "OFF",
    "NCNN_PLATFORM_API": "OFF", "NCNN_RUNTIME_CPU": "ON", "NCNN_SIMPLEOMP": "ON",
    "NCNN_VERSION": NCNN_VERSION.rpartition(".")[2], "NCNN_VULKAN": "OFF",
    "NCNN_WEIGHT_QUANT": "OFF",
}  # fmt: skip
# CMake gives GCC's names of Arm's extensions; zig knows them as features of a processor.
COMPILER = """#!/bin/sh
for word in "$@"; do
    shift
    case $word in
        -march=armv8-a) continue ;;
        -march=armv8.?-a+fp16*)
            rest=${{word#-march=armv8.}}
            word=-mcpu=generic+v8_${{rest%%-a*}}a+fullfp16${{rest#*-a+fp16}} ;;
        -mfpu=neon-vfpv4) word=-mcpu=generic+v7a+neon+vfp4 ;;
    esac
    set -- "$@" "$word"
done
exec {zig} {language} -target {triple} {processor} {flags} -g0 "$@"
"""
RUNNER_OPTIONS = (
    "-std=c++17", "-O2", "-s", "-static", "-lpthread",
    "-Wl,--wrap=free", "-Wl,--wrap=posix_memalign",  # see memory.hpp
)  # fmt: skip
# What both runners share, taken from the one in Python.
PROTOCOL = "\n".join(
    [
        "#pragma once",
        "#include <cstddef>",
        f"constexpr int kProtocol = {serve.PROTOCOL};",
        f"constexpr int kSilenceMs = {1000 * serve.SILENCE:.0f};",
        f"constexpr double kSecondsBetweenReports = {serve.SECONDS_BETWEEN_REPORTS};",
        f"constexpr std::size_t kMaxCharacters = {conditions.MAX_CHARACTERS};",
        f"constexpr const char* kVectors[] = {{{', '.join(map(json.dumps, machine.VECTORS))}}};\n",
    ]
)
SOURCES = tuple(sorted(Path(__file__).parent.glob("*.?pp")))


class Workshop:
    """The compiler for one target.

    Args:
        target: processor family.
        tools: folder that `fetch_tools` filled.
        work: folder for everything that is made.
        progress: see `Progress`.
    """

    def __init__(self, target: Target, tools: Path, work: Path, progress: Progress) -> None:
        self._target, self._options = target, TARGETS[target]
        self._work, self._objects, self._progress = work, work / "objects", progress
        self._cmake = tools / "cmake" / "data" / "bin" / "cmake"
        self._ninja = tools / "bin" / "ninja"
        self._zig = tools / "ziglang" / "zig"
        self._write_scripts()

    def compile_ncnn(self, source: Path) -> None:
        """Compile the library.

        Args:
            source: ncnn's source.

        Raises:
            RunError: a step failed.
            StorageError: the disk is full.
        """
        self._progress(f"native runner: configuring ncnn {NCNN_VERSION} for {self._target}")
        definitions = [f"-D{name}={value}" for name, value in self._definitions(source).items()]
        folders = ["-S", str(source), "-B", str(self._objects)]
        self._run([str(self._cmake), "-G", "Ninja", *folders, *definitions], lambda _: None)
        told = 0

        def tell(line: str) -> None:
            nonlocal told
            if found := re.match(r"\[(\d+)/(\d+)\]", line):
                done = 100 * int(found[1]) // int(found[2])
                if done >= told + 10:
                    told = done
                    self._progress(f"native runner: compiling ncnn, {done} %")

        self._run([str(self._ninja), "-C", str(self._objects)], tell)

    def link_runner(self, source: Path) -> Path:
        """Compile `runner.cpp` with the library; return the program.

        Args:
            source: see `compile_ncnn`.

        Raises:
            RunError: a step failed.
            StorageError: the disk is full.
        """
        self._progress("native runner: compiling the runner")
        program, library = self._work / "runner", self._objects / "src"
        (self._work / "protocol.hpp").write_text(PROTOCOL)
        folders = [f"-I{each}" for each in (self._work, source / "src", library)]
        main = next(str(each) for each in SOURCES if each.name == "runner.cpp")
        self._run(
            [str(self._work / "c++"), *folders, main, str(library / "libncnn.a"), *RUNNER_OPTIONS,
             "-o", str(program)],
            lambda _: None,
        )  # fmt: skip
        return program

    def _write_scripts(self) -> None:
        zig = shlex.quote(str(self._zig))
        processor = f"-mcpu={self._options.processor}" if self._options.processor else ""
        texts = {
            name: COMPILER.format(
                zig=zig,
                language=name,
                triple=self._options.triple,
                processor=processor,
                flags=self._options.flags,
            )
            for name in ("cc", "c++")
        }
        texts |= {name: f'#!/bin/sh\nexec {zig} {name} "$@"\n' for name in ("ar", "ranlib")}
        for name, text in texts.items():
            (self._work / name).write_text(text)
            (self._work / name).chmod(0o755)

    def _definitions(self, source: Path) -> dict[str, str]:
        definitions = {
            **OPTIONS,
            "CMAKE_AR": str(self._work / "ar"),
            "CMAKE_CXX_COMPILER": str(self._work / "c++"),
            "CMAKE_C_COMPILER": str(self._work / "cc"),
            "CMAKE_MAKE_PROGRAM": str(self._ninja),
            "CMAKE_RANLIB": str(self._work / "ranlib"),
            "CMAKE_SYSTEM_PROCESSOR": self._target,
        }
        text = (source / "CMakeLists.txt").read_text()
        layers = (source / "src" / "CMakeLists.txt").read_text()
        # ncnn would compile a file to find out each of these, longer than all the rest.
        for name in re.findall(r"\bNCNN_COMPILER_SUPPORT_\w+", text):
            definitions[name] = "ON"
        for name in re.findall(r'option\(NCNN_(\w+) "optimize \w+ platform', text):
            definitions[f"NCNN_{name}"] = _switch(name in self._options.features)
        for name in re.findall(r"^ncnn_add_layer\((\w+)", layers, re.MULTILINE):
            definitions[f"WITH_LAYER_{name.lower()}"] = _switch(name.lower() in LAYERS)
        return definitions

    def _run(self, command: Sequence[str], tell: Callable[[str], None]) -> None:
        """Run a command; each line of its output goes to `tell`."""
        cache = str(self._work / "zig")
        caches = {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
        flags = {"CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS"}
        kept = {name: value for name, value in os.environ.items() if name not in flags}
        output = []
        with subprocess.Popen(  # noqa: S603
            command, env=kept | caches, cwd=self._work, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:  # fmt: skip
            try:
                for line in process.stdout or ():
                    output.append(line)
                    tell(line)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if process.returncode:
            raise explain_failure("cannot build the native runner", "".join(output))


def _switch(on: bool) -> str:
    return "ON" if on else "OFF"
