"""The tables of Optuna 5 that a finished trial is in.

Optuna's own way of adding a finished trial asks the database two or three questions about each
parameter: 64 parameters cost ten times what the disk needs. Here the rows are written as they
are, which holds for one revision of the tables only; `REVISION` names it.
"""

from __future__ import annotations

from optuna.trial import TrialState
from sqlalchemy import (
    Column,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)  # fmt: skip

REVISION = "v3.2.0.a"
"""Alembic's name for the tables below."""

METADATA = MetaData()

STUDIES = Table("studies", METADATA, Column("study_id", Integer, primary_key=True))

TRIALS = Table(
    "trials",
    METADATA,
    Column("trial_id", Integer, primary_key=True),
    Column("number", Integer),
    Column("study_id", Integer, ForeignKey("studies.study_id")),
    Column("state", Enum(TrialState)),
    Column("datetime_start", DateTime),
    Column("datetime_complete", DateTime),
)
PARAMS = Table(
    "trial_params",
    METADATA,
    Column("param_id", Integer, primary_key=True),
    Column("trial_id", Integer, ForeignKey("trials.trial_id")),
    Column("param_name", String(512)),
    Column("param_value", Float(53)),
    Column("distribution_json", Text),
)
VALUES = Table(
    "trial_values",
    METADATA,
    Column("trial_value_id", Integer, primary_key=True),
    Column("trial_id", Integer, ForeignKey("trials.trial_id")),
    Column("objective", Integer),
    Column("value", Float(53)),
    Column("value_type", Enum("FINITE", "INF_POS", "INF_NEG", name="trialvaluetype")),
)


def _attributes(name: str, owner: Column[int]) -> Table:
    """A table `<name>s` of JSON by key, of a study or a trial."""
    return Table(
        f"{name}s",
        METADATA,
        Column(f"{name}_id", Integer, primary_key=True),
        Column(owner.name, Integer, ForeignKey(owner)),
        Column("key", String(512)),
        Column("value_json", Text),
    )


STUDY_ATTRIBUTES = _attributes("study_user_attribute", STUDIES.c.study_id)
USER_ATTRIBUTES = _attributes("trial_user_attribute", TRIALS.c.trial_id)
SYSTEM_ATTRIBUTES = _attributes("trial_system_attribute", TRIALS.c.trial_id)
