""""""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gnv2_nas.devices.profile import BenchmarkProgram, DeviceProfile
from gnv2_nas.devices.programs.host import ProgramHost
from gnv2_nas.devices.programs.kinds import KINDS, KindName
from gnv2_nas.devices.transports.local import LocalTransport

OpenHost = Callable[..., ProgramHost]


@pytest.fixture
def device(tmp_path: Path) -> Iterator[LocalTransport]:
    """A device: this machine, with a folder of its own."""
    transport = LocalTransport("board", tmp_path / "device")
    yield transport
    transport.close()


@pytest.fixture
def open_host(device: LocalTransport) -> OpenHost:
    """Return the host of a profile that names a program."""

    def opened(
        kind: KindName, program: Path | str, *arguments: str, cores: tuple[int, ...] = ()
    ) -> ProgramHost:
        benchmark = BenchmarkProgram(str(program), kind, arguments)
        profile = DeviceProfile(
            "a board", benchmark=benchmark, runtime=KINDS[kind].runtime, cores=cores
        )
        return ProgramHost("board", profile, benchmark, device)

    return opened


@pytest.fixture
def write_program(tmp_path: Path) -> Callable[[str], Path]:
    """Return the path of a program with a body in shell; it stands for one not installed here."""

    def written(body: str) -> Path:
        path = tmp_path / "program"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return written
