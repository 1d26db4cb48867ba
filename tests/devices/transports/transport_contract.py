"""What every transport must do; a test module for each subclasses `TransportContract`."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from gnv2_nas.devices.transports import Transport
from gnv2_nas.devices.transports.client import MAX_ERRORS
from gnv2_nas.errors import (
    CommandNotFoundError,
    ConnectionLostError,
    DeviceError,
    DeviceFullError,
)
from tests.waiting import all_gone, until

STRANGE = [
    "a'b\"c",
    "$HOME `id` $(id)",
    "back\\slash\\n",
    "two\nlines\n",
    "",
    "-n",
    "!x",
    "é*?",
    "\t",
]
"""Words that some shell would change."""
ALONE = "echo $$ > pid; echo started; exec sleep 1000"
"""A program that does not look at its input."""


@contextlib.contextmanager
def small_files(pids: list[int]) -> Iterator[None]:
    """What these processes start can write 1 MB to a file, as if the disk were full then."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1 << 20, hard))
    yield
    for pid, limits in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


class TransportContract(ABC):
    """Give `transport`, with an empty folder that the tests can also reach as a path."""

    @pytest.fixture
    @abstractmethod
    def transport(self) -> Transport: ...

    def path(self, transport: Transport, name: str) -> Path:
        return Path(transport.folder) / name

    @pytest.fixture
    @abstractmethod
    def full_disk(self, transport: Transport) -> AbstractContextManager[object]:
        """Within the block the device has no room for a file of 8 MB."""

    def pid(self, transport: Transport) -> int:
        """The process of `ALONE`."""
        until(lambda: self.path(transport, "pid").read_text().strip())
        return int(self.path(transport, "pid").read_text())

    def test_words_reach_a_command_unchanged(self, transport):
        done = transport.run(["printf", "%s\\0", *STRANGE], timeout=20)
        assert done.output.decode().split("\0")[:-1] == STRANGE

    def test_a_command_has_its_input_output_errors_code_and_folder(self, transport):
        content = bytes(range(256)) * 2000
        program = "cat; pwd >&2; exit 3"
        done = transport.run(["sh", "-c", program], stdin=content, timeout=20)
        assert (done.code, done.output) == (3, content)
        assert done.errors.decode().strip() == transport.folder
        assert done.explain() == f"exit code 3: {transport.folder}"

    def test_a_command_without_input_reads_its_end(self, transport):
        assert transport.run(["cat"], timeout=20).output == b""

    def test_a_killed_command_says_so(self, transport):
        done = transport.run(["sh", "-c", "kill -9 $$"], timeout=20)
        assert done.code == 137
        assert "memory" in done.explain()
        assert transport.run(["sh", "-c", "kill -15 $$"], timeout=20).explain() == (
            "ended by signal 15"
        )

    def test_a_program_that_is_not_there(self, transport):
        with pytest.raises(CommandNotFoundError, match="no program 'no-such-thing'"):
            transport.run(["no-such-thing"], timeout=20)
        with pytest.raises(CommandNotFoundError), transport.start(["no-such-thing"]):
            pass
        # A program's own exit code 127 is no missing program.
        assert transport.run(["sh", "-c", "exit 127"], timeout=20).code == 127

    def test_a_program_for_another_processor(self, transport):
        program = bytearray(Path("/bin/true").read_bytes()[:4096])
        program[18:20] = (243).to_bytes(2, "little")
        transport.push({"runner": bytes(program)})
        with pytest.raises(DeviceError, match=r"'\./runner' is a program for riscv64, but"):
            transport.run(["./runner"], timeout=20)

    @pytest.mark.parametrize("stdin", [b"", b"some"])
    def test_a_command_that_takes_too_long_is_killed(self, transport, stdin):
        with pytest.raises(DeviceError, match=r"'sh' on .* did not end within 0\.2 s"):
            transport.run(["sh", "-c", ALONE], stdin=stdin, timeout=0.2)
        if self.path(transport, "pid").exists():  # otherwise it was killed before it began
            until(lambda: all_gone([self.pid(transport)]))

    def test_a_conversation(self, transport):
        program = 'while read -r line; do echo "got $line"; done; echo bye; echo why >&2; exit 4'
        with transport.start(["sh", "-c", program]) as running:
            answers = running.lines()
            for word in ("one", "two"):
                running.send(word)
                assert next(answers) == f"got {word}"
            done = running.wait(20)
        assert (done.code, done.output, done.errors.strip()) == (4, b"", b"why")

    def test_of_many_errors_the_first_and_the_last_are_kept(self, transport):
        program = "echo why >&2; head -c 2000000 /dev/zero >&2; echo; echo that >&2; exit 6"
        with transport.start(["sh", "-c", program]) as running:
            assert list(running.lines()) == [""]
            done = running.wait(20)
        assert done.code == 6
        assert done.errors.startswith(b"why\n")
        assert done.errors.endswith(b"that\n")
        assert len(done.errors) <= 2 * MAX_ERRORS

    def test_lines_end_with_the_output_and_no_error(self, transport):
        with transport.start(["sh", "-c", "echo one; printf two; exit 5"]) as running:
            assert list(running.lines()) == ["one", "two"]
            with pytest.raises(ConnectionLostError, match=r"'sh' on .* has ended"):
                running.send("more")
            assert running.wait(20).code == 5

    def test_the_end_of_the_block_kills_the_command(self, transport):
        with transport.start(["sh", "-c", ALONE]) as running:
            assert next(running.lines()) == "started"
            pid = self.pid(transport)
        until(lambda: all_gone([pid]))

    def test_close_ends_what_runs(self, transport):
        with transport.start(["sh", "-c", ALONE]) as running:
            answers = running.lines()
            next(answers)
            pid = self.pid(transport)
            closing = threading.Thread(target=transport.close)
            closing.start()
            with pytest.raises(ConnectionLostError):
                next(answers)
            closing.join()
        until(lambda: all_gone([pid]))

    def test_files_arrive_whole_and_can_be_executed(self, transport):
        content = os.urandom(300_000)
        program = b"#!/bin/sh\necho ran $1\n"
        files = {"files/a": content, "files/empty": b"", "files/in/b c": b"1", "program": program}
        transport.push(files)
        assert {path: transport.pull(path) for path in files} == files
        assert transport.sizes("files") == {"a": 300_000, "empty": 0}
        assert transport.sizes(".") == {"program": len(program)}
        assert transport.sizes("nowhere") == {}
        assert transport.run(["./program", "well"], timeout=20).output == b"ran well\n"
        transport.push({"files/a": b"new"})
        assert transport.pull("files/a") == b"new"
        assert not list(self.path(transport, ".").glob(".*")), "nothing is left aside"

    def test_what_is_removed(self, transport):
        transport.push({"files/a": b"1", "files/b": b"2", "c": b"3"})
        transport.remove(["files/a", "nothing"])
        assert transport.sizes("files") == {"b": 1}
        transport.remove(["."])
        assert not self.path(transport, ".").exists()

    def test_only_files_of_ours_are_written_and_removed(self, transport):
        for path in ("../x", "/etc/x", "files/../../x", ".hidden", "."):
            with pytest.raises(DeviceError, match=r"does not lie in|hidden"):
                transport.push({path: b""})
        for path in ("..", "/", "/etc", "a/../../b"):
            with pytest.raises(DeviceError, match="does not lie in"):
                transport.remove([path])

    def test_a_file_that_is_not_there(self, transport):
        with pytest.raises(DeviceError, match=r"'none' cannot be read: .*No such file"):
            transport.pull("none")

    def test_a_full_disk(self, transport, full_disk):
        transport.push({"old": b"old"})
        with (
            full_disk,
            pytest.raises(DeviceFullError, match="the disk is full; free some space there"),
        ):
            transport.push({"old": b"n", "large": bytes(8 << 20)})
        assert transport.pull("old") == b"old"
        assert transport.sizes(".") == {"old": 3}
        assert not list(self.path(transport, ".").glob(".*")), "nothing is left aside"
