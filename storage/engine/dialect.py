"""What each of the two databases does in its own way; `sqlite` and `postgres` say how."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from .diagnosis import Diagnosis


class Dialect(ABC):
    """What `Database` needs to know about the database behind the URL."""

    is_postgres: bool
    errors: tuple[type[Exception], ...]
    refusals: tuple[type[Exception], ...]
    """Those of the errors that are the values' fault, not the store's."""
    connections: int
    identity: str
    """Column type of an id that is never used twice."""
    double: str
    """Column type of a float of 64 bits."""
    clustered: str
    """Ends a table whose rows stand in the order of their primary key: one tree to write instead of two."""
    barred = ""
    """Why nothing can be written; empty if it can."""
    skip_locked: str
    """Ends a sub-select that picks rows to update, so that two pickers never wait for each other."""
    for_update: str
    """Ends a select of rows that nobody else may change until the transaction ends."""

    @abstractmethod
    def connect(self, *, read_only: bool = False) -> Any:
        """A new connection in autocommit mode; the driver's own errors come out."""

    @abstractmethod
    def sql(self, text: str) -> str:
        """The statement with the driver's placeholders instead of `?`."""

    @abstractmethod
    def begin(self, connection: Any) -> None:
        """Start a transaction that writes."""

    @abstractmethod
    def commit(self, connection: Any) -> bool:
        """End the transaction; False if the database undid it instead."""

    @abstractmethod
    def diagnosis(self, error: Exception) -> Diagnosis:
        """What one of the driver's errors, or of the system's on the way to the file, means."""

    @abstractmethod
    def is_broken(self, connection: Any) -> bool:
        """True when the connection cannot be used again."""

    @abstractmethod
    def cut_off(self, connection: Any) -> None:
        """Let what another thread does on it fail at once."""

    @abstractmethod
    def is_stale(self, connection: Any) -> bool:
        """True when an idle connection's server has hung up, or its file has been replaced."""

    @abstractmethod
    def in_transaction(self, connection: Any) -> bool:
        """True between begin and the end of the transaction, also after it failed."""

    @abstractmethod
    def lock(self, connection: Any, name: str) -> None:
        """Keep other transactions that ask for the same name waiting until this one ends."""

    @abstractmethod
    def executemany(self, connection: Any, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement once per row; how many rows were changed."""

    @abstractmethod
    def change_token(self, connection: Any) -> object:
        """A value that differs from the one before if another connection has committed meanwhile."""

    @abstractmethod
    def tables(self, connection: Any) -> set[str]:
        """Names of the tables that exist."""

    @abstractmethod
    def clock_skew(self, connection: Any, now: float) -> float:
        """Seconds to add to this host's clock so that all hosts of one store agree."""

    @abstractmethod
    def notify(self, connection: Any, payload: str) -> None:
        """Tell every listener of this store, when the transaction commits."""
