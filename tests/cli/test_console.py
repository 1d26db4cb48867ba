"""What is printed: the user's text as it was typed, in every encoding, and whoever reads it."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gnv2_nas
from gnv2_nas.cli import console
from gnv2_nas.cli.console import escape_controls
from gnv2_nas.cli.progress import ProgressDisplay
from gnv2_nas.files import streams
from gnv2_nas.workflows.events import Message, TaskProgress
from tests.cli.command import COMMAND

ROOM = Path(gnv2_nas.__file__).parent
HOSTILE = ("a:b:3", ":cat:", "[red]x[/red]", "[/]", "[link=x]y", "\\[x]", "a  b", "x" * 300)
ESCAPED = {
    "\x1b[31mred": "\\x1b[31mred",
    "one\rtwo\ttab\n": "one\\rtwo\\ttab\\n",
    "a\u202eb\u2066c\u200fd": "a\\u202eb\\u2066c\\u200fd",
    "caf\udce9": "caf\\xe9",
    "\x9b31m\u2028": "\\x9b31m\\u2028",
    "né 🐈‍⬛ 網": "né 🐈‍⬛ 網",
}


@pytest.fixture
def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[], tuple[str, str]]]:
    """What was printed since the last call, by consoles that have not met other streams."""
    console.stderr.cache_clear()
    yield lambda: tuple(capsys.readouterr())
    console.stderr.cache_clear()


@pytest.mark.parametrize("text", HOSTILE)
def test_the_users_text_is_shown_as_it_was_typed(printed, text):
    console.say(f"next: gnv2-nas export {text}")
    console.say_error(f"unknown study '{text}'")
    console.print_line(text)
    out, err = printed()
    assert err == f"next: gnv2-nas export {text}\nerror: unknown study '{text}'\n"
    assert out == f"{text}\n"
    console.print_table(("network", text[:9]), [(f"{text}:12", text[:30])], title=text[:40])
    assert f"{text}:12" in printed()[0]


@pytest.mark.parametrize("text", ESCAPED)
def test_control_characters_are_shown_and_not_obeyed(printed, text):
    console.say(text)
    console.print_line(text)
    console.print_table(("network",), [(text,)])
    out, err = printed()
    shown = ESCAPED[text]
    assert err == f"{shown}\n"
    assert out.startswith(f"{shown}\n")
    assert out.rstrip().endswith(shown)


def test_an_error_is_one_line(printed):
    console.say_error("no such table:\n  trials\x1b[2J\n")
    assert printed()[1] == "error: no such table: trials\\x1b[2J\n"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_text_on_a_terminal_that_changes_is_no_markup_either(printed, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressDisplay() as display:
        display(TaskProgress("reading [bold]y[/bold] :cow:", 0.5))
        display(TaskProgress("reading", 1.0))
        display(TaskProgress("now [/] \x1b]0;title\x07 :dog:", 0.1))
        display(Message("said [/] :bee:"))
    shown = terminal.getvalue()
    for text in (
        "reading [bold]y[/bold] :cow:",
        "now [/] \\x1b]0;title\\x07 :dog:",
        "said [/] :bee:",
    ):
        assert text in shown


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_what_is_shown_is_one_printable_line(text):
    shown = escape_controls(text)
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert escape_controls(shown) == shown


JSON = {"study": "caf\udce9 \x1b → τ \U0001f408", "bad": [float("nan"), float("inf")], "n": (1, 2)}


def test_json_is_ascii_and_loses_nothing(printed):
    console.print_json(JSON)
    written, _ = printed()
    assert written.isascii()
    assert json.loads(written) == JSON | {"bad": [None, None], "n": [1, 2]}


def test_json_of_a_struct_is_what_msgspec_makes_of_it(printed):
    class Row(msgspec.Struct):
        ms: float
        names: dict[int, str]

    console.print_json(Row(0.1, {3: "é"}))
    assert json.loads(printed()[0]) == {"ms": 0.1, "names": {"3": "é"}}


def piped(encoding: str) -> tuple[io.TextIOWrapper, int]:
    reading, writing = os.pipe()
    like = io.TextIOWrapper(io.BytesIO(), encoding)
    return streams.make_tolerant(like, writing), reading


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "utf-16"])
def test_characters_that_the_encoding_lacks_are_replaced(encoding):
    stream, reading = piped(encoding)
    stream.write("τ ≤ 5 ± 1 … → ✓ 網 caf\udce9\n")
    stream.flush()
    written = os.read(reading, 1000).decode(encoding)
    for each in (reading, stream.fileno()):
        os.close(each)
    assert written.endswith("?\n")
    if encoding == "ascii":
        assert written == "tau <= 5 +- 1 ... -> ok ? caf?\n"


def test_a_reader_that_has_left_is_no_error(monkeypatch):
    stream, reading = piped("utf-8")
    os.close(reading)
    monkeypatch.setattr(sys, "stdout", stream)
    for _ in range(2):
        console.print_line("x" * 100_000)
    assert streams.find_output_error() is None
    os.close(stream.fileno())


def test_a_full_disk_is_told_in_the_end(monkeypatch):
    with Path("/dev/full").open("wb") as full:
        stream = streams.make_tolerant(None, full.fileno())
        monkeypatch.setattr(sys, "stdout", stream)
        console.print_line("x" * 100_000)
        error = streams.find_output_error()
    assert error is not None
    assert error.strerror == "No space left on device"


def test_warnings_and_log_lines_are_said(printed, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        console.take_over_messages()
        logging.getLogger("gnv2_nas.search").warning("study %s\nis odd", ":cat:\x1b[31m")
        warnings.warn("[red]old[/red]", UserWarning, stacklevel=1)
    assert printed()[1] == "study :cat:\\x1b[31m is odd\nwarning: [red]old[/red]\n"


CLOSED = {
    "exec >&-": 0,
    "exec 2>&-": 0,
    "exec <&- >&- 2>&-": 0,
    "exec >/dev/full": 1,
}


@pytest.mark.parametrize("shell", CLOSED)
@pytest.mark.parametrize("words", ["spaces", "export tiny.json --format json --output copy.json"])
def test_streams_that_are_closed_cost_nothing(tmp_path, shell, words):
    (tmp_path / "tiny.json").write_text(gnv2_nas.preset("ghostnet-1.0").to_json())
    done = subprocess.run(
        ["sh", "-c", f'{shell}; exec "$0" {words}', COMMAND], cwd=tmp_path, capture_output=True,
        text=True, check=False, env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    exported = words.startswith("export")
    assert done.returncode == (0 if exported else CLOSED[shell])
    assert "Traceback" not in done.stderr
    if exported:
        architecture = gnv2_nas.Architecture.from_json((tmp_path / "copy.json").read_bytes())
        assert architecture == gnv2_nas.preset("ghostnet-1.0")
    elif CLOSED[shell]:
        assert done.stderr == "error: standard output takes no more: No space left on device\n"


def test_an_argument_that_is_no_text_is_refused_in_one_line(tmp_path):
    done = subprocess.run(
        [COMMAND, "report", b"caf\xe9"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: argument 'caf\\xe9' is not text in this locale's")


# Who prints, and who draws with Rich.
PRINTERS = {"cli/console.py", "files/streams.py", "workflows/events.py"}
DRAWERS = {"cli/console.py", "cli/progress.py"}
# Modules that touch a stream without printing: to flush it, or to silence a library.
TOUCHING = {"runner/huge_pages.py", "runner/litert_session.py"}


@pytest.mark.parametrize("file", sorted(ROOM.rglob("*.py")), ids=lambda file: file.name)
def test_nothing_is_printed_but_by_the_console(file):
    name, found = str(file.relative_to(ROOM)), set()
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Call(func=ast.Name(id="print" | "input")):
                found.add("print")
            case ast.Attribute(attr="echo" | "secho" | "print_exc" | "print_stack" as attribute):
                found.add(attribute)
            case ast.Attribute(value=ast.Name(id="sys"), attr=attribute) if attribute in (
                "stdout", "stderr", "__stdout__", "__stderr__",
            ):  # fmt: skip
                found.add("stream")
            case ast.ImportFrom(module=module) if (module or "").split(".")[0] == "rich":
                found.add("rich")
            case ast.ImportFrom(module="sys", names=names):
                found |= {"stream" for each in names if each.name.startswith("std")}
    allowed = {"rich"} if name in DRAWERS else set()
    allowed |= {"stream"} if name in PRINTERS | TOUCHING else set()
    allowed |= {"print_exc"} if name == "runner/serve.py" else set()  # for who looks at a device
    assert found <= allowed
