"""Looking at a database file before Optuna does."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from gnv2_nas.errors import InputError, StudyError, UnknownNameError
from gnv2_nas.search.storage.sqlite import check_database, require_study, require_trial
from gnv2_nas.search.storage.studies import open_study
from tests.confined import run_python
from tests.search.search_helpers import STORAGE, searched

CHECK = """
import sys
from gnv2_nas.errors import StudyError
from gnv2_nas.search.storage.sqlite import check_database
try:
    print(check_database(sys.argv[1], write=sys.argv[2] == "write"))
except StudyError as error:
    sys.exit(f"refused: {error}")
"""


@pytest.fixture
def database(folder):
    searched(folder, trials=1)
    return folder / "studies.db"


def change(path, statement):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_a_file_that_is_not_there_yet(folder):
    assert not check_database(STORAGE, write=True)
    (folder / "studies.db").touch()
    assert not check_database(STORAGE, write=True)
    assert list(folder.iterdir()) == [folder / "studies.db"]


def test_a_database_of_studies(database):
    assert check_database(STORAGE, write=True)
    assert check_database(f"sqlite:///{database}", write=True)
    assert check_database(f"{STORAGE}?timeout=5")


@pytest.mark.parametrize(
    ("storage", "problem"),
    [
        ("studies.db", "is not a URL; for a file write 'sqlite:///studies.db'"),
        ("", "is not a URL"),
        ("sqlite:///no/such/studies.db", "the folder of 'no/such/studies.db' does not exist"),
        ("sqlite:///", "the database would be in memory, and every trial lost at the end"),
        ("sqlite:///folder.db", "'folder.db' is not a file"),
        ("sqlite:///text.db", "'text.db' is not a SQLite database"),
        ("sqlite:///other.db", "'other.db' is a SQLite database, but not one of Optuna's"),
        ("sqlite:///torn.db", "cannot read 'torn.db' as a SQLite database"),
    ],
)
def test_what_is_no_database_of_studies_is_refused(folder, storage, problem):
    (folder / "folder.db").mkdir()
    (folder / "text.db").write_text("SQLite format 4, or so\n")
    change(folder / "other.db", "CREATE TABLE songs (title TEXT)")
    (folder / "torn.db").write_bytes((folder / "other.db").read_bytes()[:100] + b"?" * 5000)
    before = {path: path.stat().st_size for path in folder.iterdir()}
    with pytest.raises(StudyError) as caught:
        check_database(storage, write=True)
    assert problem in str(caught.value)
    assert {path: path.stat().st_size for path in folder.iterdir()} == before


def test_tables_of_another_version_are_refused_with_the_remedy(database):
    change(database, "UPDATE version_info SET schema_version = 11, library_version = '0.9.0'")
    with pytest.raises(StudyError, match=r"made by Optuna 0\.9\.0 .*optuna storage upgrade"):
        check_database(STORAGE)


@pytest.mark.parametrize("revision", ["v3.0.0.d", "v99.0.0.a"])
def test_tables_of_an_older_or_newer_revision_are_refused(database, revision):
    change(database, f"UPDATE alembic_version SET version_num = '{revision}'")  # noqa: S608
    with pytest.raises(StudyError, match=r"another version of Optuna.*optuna storage upgrade"):
        open_study(STORAGE, "demo")


@pytest.mark.parametrize("url", ["nosuchkind://host/studies", "sqlite+nosuch:///studies.db"])
def test_a_database_that_cannot_be_spoken_to_is_refused(folder, url):
    with pytest.raises(InputError, match="cannot"):
        open_study(url, "demo")


def test_a_read_only_file_can_be_read_and_not_gone_on_with(database):
    database.chmod(0o444)
    assert run_python(CHECK, STORAGE, "read", cwd=database.parent).stdout == "True\n"
    refused = run_python(CHECK, STORAGE, "write", cwd=database.parent)
    assert refused.stderr.startswith("refused: 'studies.db' is read-only, so the study cannot be")
    database.chmod(0o644)
    database.parent.chmod(0o555)
    refused = run_python(CHECK, STORAGE, "write", cwd=database.parent)
    database.parent.chmod(0o755)
    assert refused.stderr.startswith("refused: '.' is read-only")
    assert "choose another --storage" in refused.stderr


def test_a_file_one_may_not_look_at_is_refused(database, folder):
    database.chmod(0)
    refused = run_python(CHECK, STORAGE, "read", cwd=folder)
    assert refused.stderr == "refused: cannot read 'studies.db': Permission denied\n"
    closed = folder / "closed"
    closed.mkdir(mode=0)
    for how in ("read", "write"):
        refused = run_python(CHECK, "sqlite:///closed/studies.db", how, cwd=folder)
        assert refused.stderr.startswith("refused: ")
        assert "closed/studies.db" in refused.stderr
    closed.chmod(0o700)


def test_studies_and_trials_are_required_by_name(database):
    require_study(STORAGE, "demo")
    require_trial(STORAGE, "demo", 0)
    with pytest.raises(UnknownNameError, match="unknown study 'dmeo'; did you mean 'demo'"):
        require_study(STORAGE, "dmeo")
    with pytest.raises(InputError, match=r"'demo' has no trial 99; its trials are 0 to \d+$"):
        require_trial(STORAGE, "demo", 99)
    with pytest.raises(UnknownNameError, match=r"none in sqlite:///new.db; make one with"):
        require_study("sqlite:///new.db", "demo")


def test_a_refusal_does_not_wait_for_optuna(database):
    code = """
import sys
from gnv2_nas.errors import InputError
from gnv2_nas.workflows.references import find_network
for reference in ("demo:99", "dmeo:0"):
    try:
        find_network(reference, sys.argv[1])
    except InputError:
        print(sorted({"optuna", "sqlalchemy", "torch"} & set(sys.modules)))
"""
    found = subprocess.run(
        [sys.executable, "-c", code, STORAGE], capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n[]\n"
