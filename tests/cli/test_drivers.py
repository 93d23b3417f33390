from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from statemachine_engine.storage.engine.database import Database

PROGRAM = """
import sys
from statemachine_engine.cli.db.main import db
db(["--db", sys.argv[1], "list"], standalone_mode=False)
print(*({"peewee", "psycopg"} & set(sys.modules)))
import psycopg
"""


def test_a_listing_of_an_sqlite_file_loads_no_driver_and_leaves_them_to_be_found(tmp_path: Path) -> None:
    Database.open(tmp_path / "x.db").close()

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "x.db")], capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "peewee"
