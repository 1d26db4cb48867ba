"""A form is written into a user's profile, and nothing else of the file changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from gnv2_nas.devices.profile import read_profile
from gnv2_nas.devices.profile_form import MARK, check_target, find_target, set_form, write_form
from gnv2_nas.errors import OutputError
from gnv2_nas.files.writing import built_in_folder, find_named
from gnv2_nas.graph.passes.form import FileForm

EIGHT, SPLIT = FileForm(channel_multiple=8), FileForm(fuse_up_to=0, split_depthwise=False)
NOTES = (f"{MARK} board`, today:", "0.9 of the time.")
PLAIN = "# Mine.\ndescription: my board  # on the desk\nthreads: 2\n# The end."


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def profile_of(text: str) -> Path:
    path = Path("board.yaml")
    path.write_bytes(text.encode())
    return path


def tuned(text: str, form: FileForm) -> str:
    path = profile_of(text)
    profile = read_profile(str(path))
    write_form(path, path, profile, form, NOTES if form != FileForm() else ())
    assert read_profile(str(path)) == replace(profile, form=form)
    return path.read_bytes().decode()


def test_the_rest_of_the_file_stays():
    text = tuned(PLAIN, EIGHT)
    assert text.startswith(f"{PLAIN}\n# {NOTES[0]}\n")
    assert text.endswith(f"# {NOTES[1]}\nform:\n  channel_multiple: 8\n")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_form_is_replaced_with_its_comment_and_removed_without_a_trace(end):
    text = f"{PLAIN}\n".replace("\n", end)
    once = tuned(text, EIGHT)
    twice = tuned(
        f"{once}\n# Of precision.\nprecision: fp32\n".replace("\r", "").replace("\n", end), SPLIT
    )
    assert twice.count(MARK) == 1
    assert f"# Of precision.{end}precision: fp32{end}" in twice
    assert "channel_multiple" not in twice
    assert tuned(once, FileForm()) == text
    assert ("\r" in twice) == (end == "\r\n")


@pytest.mark.parametrize(
    "form",
    ["form: {channel_multiple: 4}\n", "form: {channel_multiple: 4,\n  fuse_up_to: 3}\n",
     "form:\n\n  # four\n  channel_multiple: 4\n", "form: {}\n"],
)  # fmt: skip
@pytest.mark.parametrize("after", ["", "threads: 2\n", "\n# Two.\nthreads: 2\n"])
def test_a_form_that_the_user_wrote_is_replaced_and_its_comment_stays(form, after):
    text = tuned(f"description: x\n# By hand.\n{form}{after}", EIGHT)
    assert text.startswith("description: x\n# By hand.\n# Form")
    assert text.endswith(f"  channel_multiple: 8\n{after}")


@pytest.mark.parametrize("text", ["{description: x}\n", "---\ndescription: x\n...\n"])
def test_a_file_that_cannot_be_edited_stays_and_the_user_is_told_what_to_write(text):
    with pytest.raises(OutputError, match=r"yourself: form: \{\"channel_multiple\":8\}$"):
        tuned(text, EIGHT)
    assert Path("board.yaml").read_text() == text


def test_a_profile_that_was_changed_meanwhile_is_not_written():
    path = profile_of(PLAIN)
    profile = read_profile(str(path))
    path.write_text("description: other\n")
    with pytest.raises(OutputError, match=r"'board.yaml' was changed while it was measured"):
        write_form(path, path, profile, EIGHT, NOTES)
    assert path.read_text() == "description: other\n"


def test_a_built_in_profile_is_copied_to_the_users_folder():
    source = find_named("profiles", "device", "cpu")
    target = find_target(source)
    assert target == Path("profiles/cpu.yaml")
    check_target(source, target)
    write_form(source, target, read_profile("cpu"), EIGHT, NOTES)
    assert read_profile("cpu").form == EIGHT
    assert target.read_text().startswith(source.read_text())
    with pytest.raises(OutputError, match=r"'profiles/cpu.yaml' would be overwritten"):
        check_target(built_in_folder("profiles") / "cpu.yaml", target)


def test_no_notes_are_needed():
    assert set_form("description: x\n", EIGHT, ()).endswith("\nform:\n  channel_multiple: 8\n")
