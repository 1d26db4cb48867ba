"""Tables of a SQLite file that were begun and not finished."""

from __future__ import annotations

import sqlite3

TABLES = frozenset(
    (
        "alembic_version", "studies", "study_directions", "study_system_attributes",
        "study_user_attributes", "trial_heartbeats", "trial_intermediate_values", "trial_params",
        "trial_system_attributes", "trial_user_attributes", "trial_values", "trials",
        "version_info",
    )
)  # fmt: skip
"""All that Optuna 5 makes."""


def tables_in(connection: sqlite3.Connection) -> set[str]:
    """The tables, views and triggers of a file."""
    return {
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type != 'index' AND name NOT LIKE 'sqlite_%'"
        )
    }


def is_half_made(connection: sqlite3.Connection) -> bool:
    """Whether a file holds some of Optuna's tables, nothing in them and nothing else: a program
    was killed, or found no room, while it made them."""
    tables = tables_in(connection)
    return tables <= TABLES and not any(
        connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()  # noqa: S608
        for table in tables
    )
