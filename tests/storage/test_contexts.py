"""Test the stored copies of contexts, on every database."""

from __future__ import annotations

from statemachine_engine.storage import audit, contexts
from statemachine_engine.storage.contexts import ContextRow, MachineContext
from statemachine_engine.storage.engine.database import Database


def test_of_a_machines_contexts_the_last_one_is_there(db: Database) -> None:
    assert contexts.get(db, "m") is None
    first, last = (f'{{"values":{{"n":{n}}},"cut":["n"],"left_out":{n}}}' for n in (1, 2))
    audit.write(db, [ContextRow("m", first, 10.0), ContextRow("other", first, 11.0), ContextRow("m", last, 12.5)])
    assert contexts.get(db, "m") == MachineContext({"n": 2}, ["n"], 2, 12.5)
    audit.write(db, [ContextRow("m", first, 13.0)])
    assert contexts.get(db, "m") == MachineContext({"n": 1}, ["n"], 1, 13.0)
