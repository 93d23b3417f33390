"""Opening, transactions, threads."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from statemachine_engine.storage import jobs, mailbox
from statemachine_engine.storage.engine.database import Database, resolve_url
from statemachine_engine.storage.errors import StorageError, StoreUnavailable
from tests.support.factories import add_jobs
from tests.support.until import until

Open = Callable[..., Database]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("given", "variable", "url"),
    [
        (None, None, "sqlite:///data/pipeline.db"),
        (None, "other.db", "sqlite:///other.db"),
        (None, "", "sqlite:///data/pipeline.db"),
        ("mine.db", "other.db", "sqlite:///mine.db"),
        (Path("/abs/mine.db"), None, "sqlite:////abs/mine.db"),
        ("~/mine.db", None, "sqlite:////home/me/mine.db"),
        ("sqlite:///~/mine.db", None, "sqlite:////home/me/mine.db"),
        (":memory:", None, "sqlite:///:memory:"),
        ("postgresql://u@h/d", None, "postgresql://u@h/d"),
    ],
)
def test_a_url_comes_from_the_argument_the_environment_or_the_default(
    given: str | Path | None, variable: str | None, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("STATEMACHINE_DB", raising=False)
    if variable is not None:
        monkeypatch.setenv("STATEMACHINE_DB", variable)

    assert resolve_url(given) == url


def test_a_relative_path_means_the_folder_of_the_start(
    tmp_path: Path, open_db: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    db = open_db("here.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    add_jobs(db, 1)

    assert len(jobs.find(db)) == 1
    assert db.change_token()
    assert list(Path().iterdir()) == []


def test_a_new_file_is_its_owners_alone_whatever_the_umask(sqlite_path: Path, open_db: Open) -> None:
    before = os.umask(0o022)
    try:
        db = open_db(sqlite_path)
        add_jobs(db, 1)
    finally:
        os.umask(before)

    files = sorted(path.name for path in sqlite_path.parent.iterdir())
    assert files == ["pipeline.db", "pipeline.db-shm", "pipeline.db-wal"]
    assert {mode(path) for path in sqlite_path.parent.iterdir()} == {0o600}


def test_a_narrow_umask_does_not_lock_the_owner_out(sqlite_path: Path, open_db: Open) -> None:
    sqlite_path.parent.mkdir()
    before = os.umask(0o777)
    try:
        open_db(sqlite_path)
    finally:
        os.umask(before)

    assert mode(sqlite_path) == 0o600


def test_an_existing_file_keeps_its_mode(sqlite_path: Path, open_db: Open) -> None:
    open_db(sqlite_path).close()
    sqlite_path.chmod(0o640)
    open_db(sqlite_path)

    assert mode(sqlite_path) == 0o640


def test_a_missing_file_is_not_made_when_none_is_wanted(sqlite_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no such database"):
        Database.open(sqlite_path, create=False)
    assert not sqlite_path.parent.exists()


def test_an_empty_file_stays_empty_when_none_is_wanted(sqlite_path: Path) -> None:
    sqlite_path.parent.mkdir()
    sqlite_path.touch()

    with pytest.raises(StoreUnavailable, match="no statemachine tables"):
        Database.open(sqlite_path, create=False)


def test_an_existing_store_opens_where_none_is_to_be_made(sqlite_path: Path, open_db: Open) -> None:
    add_jobs(open_db(sqlite_path), 1)

    assert jobs.counts(open_db(sqlite_path, create=False))["pending"] == 1


def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is a text and no database, however long it may be" * 100)
    (tmp_path / "blocked").write_text("")

    with pytest.raises(StoreUnavailable, match=r"text\.db: file is not a database"):
        Database.open(tmp_path / "text.db")
    with pytest.raises(StoreUnavailable, match="unable to open"):
        Database.open(tmp_path)
    with pytest.raises(StoreUnavailable, match="blocked"):
        Database.open(tmp_path / "blocked" / "x.db")
    with pytest.raises(StoreUnavailable, match="not mysql"):
        Database.open("mysql://host/db")


def test_a_damaged_file_is_reported(sqlite_path: Path, open_db: Open) -> None:
    db = open_db(sqlite_path)
    add_jobs(db, 500)
    db.close()
    content = bytearray(sqlite_path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    sqlite_path.write_bytes(content)

    with pytest.raises(StoreUnavailable, match="malformed"):
        jobs.find(open_db(sqlite_path))


def test_a_transaction_is_kept_or_undone_as_a_whole(db: Database) -> None:
    def half_a_transaction() -> None:
        with db.write():
            add_jobs(db, 2)
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        half_a_transaction()
    assert jobs.counts(db)["pending"] == 0

    with db.write():
        add_jobs(db, 2)
        mailbox.post(db, "m", "go")
        with db.read():
            assert jobs.counts(db)["pending"] == 2
    assert jobs.counts(db)["pending"] == 2


def test_a_transaction_may_start_while_reading(db: Database) -> None:
    with db.read():
        add_jobs(db, 1)
        assert jobs.counts(db)["pending"] == 1


def test_a_statement_needs_a_surrounding_block(db: Database) -> None:
    with pytest.raises(StorageError, match="surrounding"):
        db.execute("SELECT 1")


def test_a_wrong_statement_does_not_harm_the_next(db: Database) -> None:
    with pytest.raises(StoreUnavailable), db.write():
        db.execute("SELECT nonsense FROM nowhere")

    add_jobs(db, 1)
    with pytest.raises(StoreUnavailable), db.read():
        db.execute("SELECT nonsense FROM nowhere")
    assert jobs.counts(db)["pending"] == 1


def test_a_failure_that_is_passed_over_loses_nothing_unsaid(db: Database) -> None:
    def careless() -> None:
        with db.write():
            with suppress(StorageError):
                db.execute("SELECT nonsense FROM nowhere")
            add_jobs(db, 1)

    if db.is_postgres:
        with pytest.raises(StorageError):
            careless()
    else:
        careless()
    assert jobs.counts(db)["pending"] == (0 if db.is_postgres else 1)


def test_a_transaction_that_the_server_undid_is_no_success(db: Database) -> None:
    def careless() -> None:
        with db.write():
            add_jobs(db, 1)
            with suppress(StorageError):
                db.execute("SELECT nonsense FROM nowhere")

    if db.is_postgres:
        with pytest.raises(StoreUnavailable, match="nothing was written"):
            careless()
    else:
        careless()
    assert jobs.counts(db)["pending"] == (0 if db.is_postgres else 1)


def test_many_threads_share_a_database(db: Database) -> None:
    problems: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for _ in range(10):
                mailbox.post(db, name, "go")
                assert mailbox.unread(db, name)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(f"m{number}",)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert len(mailbox.list_(db, limit=None)) == 400


def test_hundreds_of_threads_do_not_mean_hundreds_of_connections(sqlite_path: Path, open_db: Open) -> None:
    db = open_db(sqlite_path)
    barrier = threading.Barrier(100)

    def look() -> None:
        barrier.wait()
        jobs.counts(db)

    threads = [threading.Thread(target=look) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    open_files = [
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{fd}")
    ]
    assert open_files.count(str(sqlite_path)) <= 5


def test_a_token_changes_with_each_commit_of_another(db_url: str, open_db: Open) -> None:
    db = open_db(db_url)
    writer = open_db(db_url)

    until(lambda: db.change_token() == db.change_token())  # a PostgreSQL server counts its other databases' commits too
    token = db.change_token()
    job_id = add_jobs(writer, 1)[0]
    after_insert = db.change_token()
    assert after_insert != token
    jobs.complete(writer, job_id)
    assert db.change_token() != after_insert


def test_a_token_changes_with_a_commit_of_ones_own(db: Database) -> None:
    token = db.change_token()
    add_jobs(db, 1)

    assert db.change_token() != token


def test_looking_does_not_write(sqlite_path: Path, open_db: Open) -> None:
    db = open_db(sqlite_path)
    add_jobs(db, 1)
    wal = sqlite_path.with_name("pipeline.db-wal")
    before = (wal.stat().st_size, wal.stat().st_mtime_ns, db.change_token())

    jobs.rescue(db)
    mailbox.expire(db)
    jobs.claimable(db, [("work", None), (None, None)])
    mailbox.pending_targets(db, ["m"])

    assert (wal.stat().st_size, wal.stat().st_mtime_ns, db.change_token()) == before


def test_reading_cannot_write(sqlite_path: Path, open_db: Open) -> None:
    db = open_db(sqlite_path)

    with pytest.raises(StoreUnavailable, match="readonly"), db.read():
        db.execute("DELETE FROM jobs")


def test_a_locked_file_is_reported(sqlite_path: Path, open_db: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("statemachine_engine.storage.engine.sqlite.BUSY_TIMEOUT_S", 0.01)
    db, other = open_db(sqlite_path), open_db(sqlite_path)

    with db.write(), pytest.raises(StoreUnavailable, match="locked"):
        add_jobs(other, 1)
    assert add_jobs(other, 1)


def test_no_connection_makes_a_file_in_the_place_of_one_that_is_gone(sqlite_path: Path, open_db: Open) -> None:
    db = open_db(sqlite_path)
    sqlite_path.unlink()

    refusal = pytest.raises(StoreUnavailable, match="unable to open database file; see that its folder is there")
    with ThreadPoolExecutor(1) as other, db.read(), refusal as refused:  # the open one is out: the other opens its own
        other.submit(jobs.counts, db).result()

    assert refused.value.problem_kind == "database_not_opened"
    assert not sqlite_path.exists()


def test_a_database_tells_that_its_file_is_gone_or_another_is_in_its_place(tmp_path: Path, open_db: Open) -> None:
    path, aside = tmp_path / "store.db", tmp_path / "aside.db"
    db = open_db(path)
    assert not db.has_lost_file()

    path.rename(aside)
    assert db.has_lost_file()
    aside.rename(path)
    assert not db.has_lost_file(), "it is the same file"

    open_db(aside).close()
    aside.replace(path)
    assert db.has_lost_file()
    db.close()
    assert db.has_lost_file()


def test_no_connection_is_opened_to_the_file_that_took_the_place(tmp_path: Path, open_db: Open) -> None:
    db = open_db(tmp_path / "store.db")
    open_db(tmp_path / "other.db").close()
    (tmp_path / "other.db").replace(tmp_path / "store.db")

    refusal = pytest.raises(StoreUnavailable, match="another file was put in its place")
    with ThreadPoolExecutor(1) as other, db.read(), refusal:  # the one that is open is out: the other opens its own
        other.submit(jobs.counts, db).result()


def test_a_database_without_a_file_loses_none(open_db: Open, postgres_url: str) -> None:
    assert not open_db("sqlite:///:memory:").has_lost_file()
    assert not open_db(postgres_url).has_lost_file()


def test_durable_means_that_a_commit_is_on_disk(sqlite_path: Path, open_db: Open) -> None:
    levels = []
    for durable in (False, True):
        with open_db(sqlite_path, durable=durable).write() as connection:
            levels.append(connection.execute("PRAGMA synchronous").fetchone()[0])

    assert levels == [1, 2]


def test_a_closed_database_says_so(db: Database) -> None:
    db.close()
    db.close()

    for use in (lambda: jobs.counts(db), lambda: add_jobs(db, 1), db.change_token):
        with pytest.raises(StoreUnavailable, match="closed"):
            use()


def test_a_database_closes_at_the_end_of_its_block(sqlite_path: Path) -> None:
    with Database.open(sqlite_path) as db:
        add_jobs(db, 1)

    assert [path.name for path in sqlite_path.parent.iterdir()] == ["pipeline.db"]


def test_without_postgres_waiting_for_a_notification_ends_with_the_database(sqlite_path: Path, open_db: Open) -> None:
    db = open_db(sqlite_path)
    got: list[list[str]] = []
    waiter = threading.Thread(target=lambda: got.append(db.wait_notification(60)))
    waiter.start()

    db.notify("nobody listens")
    db.close()
    waiter.join(30)
    assert got == [[]]
