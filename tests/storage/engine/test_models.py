"""The models say what the migrations made."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from statemachine_engine.storage import machines, mailbox
from statemachine_engine.storage.engine import models
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.jobs import job


@pytest.mark.parametrize("model", [models.JobRow, models.EventRow, models.StateRow, models.NoteRow])
def test_a_model_has_the_columns_of_its_table(db: Database, model: Any) -> None:
    with db.read():
        cursor = db.execute(f"SELECT * FROM {model._meta.table_name}")

    assert sorted(column[0] for column in cursor.description) == sorted(model._meta.columns)


@pytest.mark.parametrize(
    ("record", "model"),
    [(job.Job, models.JobRow), (mailbox.MailboxRow, models.EventRow), (machines.MachineRow, models.StateRow)],
)
def test_a_record_has_no_field_that_its_table_lacks(record: Any, model: Any) -> None:
    assert {field.name for field in fields(record)} <= set(model._meta.columns)
