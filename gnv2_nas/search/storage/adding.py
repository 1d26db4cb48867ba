"""Add a trial to a study unless another process has added one since the study was read.

Two processes that look for a network and then store it could both find it missing. A process whose
connection broke during a commit could look before the server has ended that transaction. So the
second look is within the transaction, when it holds the lock that Optuna takes to add a trial.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.trial import FrozenTrial

from gnv2_nas.errors import StudyError
from gnv2_nas.search.storage.format import read_beginning
from gnv2_nas.search.storage.trial_reading import TrialReader
from gnv2_nas.search.study.settings import Settings


class _NewsError(Exception):
    """Another process has added a trial; ends the transaction."""


def add_unless_news(
    add: Callable[[FrozenTrial], None], trial: FrozenTrial, engine: sa.Engine, reader: TrialReader
) -> bool:
    """Add a finished trial in one transaction; False, and nothing is added, if there are news.

    Args:
        add: adds a trial to the study.
        trial: the new one.
        engine: of the database.
        reader: has read the study up to a trial.
    """

    def look(connection: sa.Connection, _: Any, statement: str, *__: Any) -> None:
        if not statement.startswith("INSERT INTO trials "):
            return
        # The row of the study is locked by now. SQLite has no such lock, but one of the file.
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        if reader.has_news(connection):
            raise _NewsError

    sa.event.listen(engine, "before_cursor_execute", look)
    try:
        add(trial)
    except _NewsError:
        return False
    finally:
        sa.event.remove(engine, "before_cursor_execute", look)
    return True


def check_not_made_anew(study: optuna.Study, settings: Settings) -> None:
    """A process that started later may have begun the study anew, because it was empty.

    Raises:
        StudyError: the study has other settings by now.
    """
    there = read_beginning(study.user_attrs)
    if there is None or there.settings != settings:
        raise StudyError(
            f"study {study.study_name!r} was made anew with other settings by another process; "
            "choose another --study"
        )
