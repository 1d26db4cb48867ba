"""Commands that are shown can be copied, and mean what was meant."""

from __future__ import annotations

import shlex
import subprocess

import msgspec
import pytest
import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gnv2_nas.cli import app
from gnv2_nas.commands import format_command, join_command, quote
from gnv2_nas.errors import InputError
from gnv2_nas.report.wording import next_command
from gnv2_nas.workflows import references
from gnv2_nas.workflows.search.request import SearchRequest, check_study_name
from tests.report.studies import candidate, found_architecture, study

NAMES = (
    "demo", "a:b", ":cat:", "-x", "--x", "--", "a b", " a ", "it's", '"', "$HOME", "`id`", "a;b",
    "a&&b", "a|b", "~", "*", "#x", "[red]x[/]", "\\", "a\\'b", "!1", "né 網", "--format", "a=b",
    "%s", "{a,b}", "supernet", "net.json", "x.safetensors", "-h", "12",
)  # fmt: skip
HIDDEN = ("a\nb", "\x1b[31m", "a\tb", "\u202eabc", "a\r", "\x00", "caf\udce9", "a\u2028b")
printable = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.isprintable)


def parsed(line: str) -> dict[str, object]:
    """The parameters that the command line reads from a line."""
    program, *words = shlex.split(line)
    assert program == "gnv2-nas"
    group = typer.main.get_command(app)
    verb, *rest = words
    return group.commands[verb].make_context(verb, rest).params


@settings(max_examples=60, deadline=None)
@given(printable, printable, st.booleans())
@example("-x", "sqlite:///--x.db", True)
@example("a:b", "sqlite:///a b.db", False)
def test_the_next_command_names_the_same_study(name, storage, trained):
    record = msgspec.structs.replace(study([]), name=name, storage=storage)
    if trained:
        chosen = msgspec.structs.replace(record.settings, data=storage, quality=f"supernet:{name}")
        record = msgspec.structs.replace(record, settings=chosen)
    found = parsed(next_command(record, candidate(3, found_architecture(3))))
    (network,) = found["networks"] if trained else (found["network"],)
    assert network.rpartition(":") == (name, ":", "3")
    assert found["storage"] == storage
    if trained:
        assert found["data"] == storage
        assert str(found["from_supernet"]) == str(type(found["from_supernet"])(name))


@pytest.mark.parametrize("name", NAMES)
def test_any_printable_name_can_be_referred_to(name):
    check_study_name(name)
    assert parsed(format_command("report", name))["study"] == name
    assert parsed(format_command("search", options=[("--study", name)]))["study"] == name
    assert parsed(format_command("export", f"{name}:3"))["network"] == f"{name}:3"


@pytest.mark.parametrize("name", HIDDEN)
def test_a_name_that_no_terminal_shows_is_refused_before_anything_is_made(
    name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="takes printable characters only") as caught:
        SearchRequest(study=name).check()
    assert str(caught.value).isprintable()
    assert list(tmp_path.iterdir()) == []


def test_a_network_named_twice_is_two_whatever_the_study_is_called(monkeypatch):
    monkeypatch.setattr(references, "find_network", lambda name, *_: name)
    found = references.find_networks(["a b:1", "demo:1", "a b:1", "a b:1", "a:1"], "")
    assert list(found) == ["a b:1", "demo:1", "a b:1 (2)", "a b:1 (3)", "a:1"]
    assert list(found.values()) == ["a b:1", "demo:1", "a b:1", "a b:1", "a:1"]


def test_a_plain_command_reads_as_it_always_did():
    assert format_command("export", "demo:3", options=[("--format", "onnx")]) == (
        "gnv2-nas export demo:3 --format onnx"
    )
    record = study([])
    assert "--storage" not in next_command(record, candidate(3, found_architecture(3)))


def test_a_shell_reads_the_words_that_were_meant():
    words = [*NAMES, *(each for each in HIDDEN if "\x00" not in each), "a\n1", "it's\n\\"]
    script = join_command(["printf", "%s\\0", *words])
    read = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    assert read.decode("utf-8", "surrogateescape").split("\0")[:-1] == words
    assert all(quote(word).isprintable() for word in words)
