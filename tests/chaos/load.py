"""The load of a campaign: jobs and events, put in by several senders who write down what was accepted."""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from statemachine_engine.actors.sockets import delivery
from statemachine_engine.storage import jobs, mailbox
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import JobExists, StorageError

SENDERS = 3

#: how jobs end, and how many of a hundred do
FATES = {"complete": 55, "left": 15, "fail": 10, "raise": 8, "fragile": 10, "shell": 2}

#: what workers do with a job of each fate: the statuses that it may end in
ENDS = {
    "complete": {"completed"},
    "left": {"completed"},
    "shell": {"completed"},
    "fail": {"failed"},
    "raise": {"failed"},
    "fragile": {"completed", "failed"},
}

#: kinds of events, and how many of a hundred are of each
KINDS = {"tick": 72, "ping": 12, "noise": 6, "touch": 6, "cut": 2, "stale": 2}

#: seconds that a stale event may wait
STALE_S = 0.05

Item = dict[str, Any]


@dataclass(slots=True)
class Accepted:
    """The answers that the senders received, kept outside the database."""

    #: job -> fate
    jobs: dict[str, str] = field(default_factory=dict)
    #: job -> fate, of jobs that the controller is to add
    ordered: dict[str, str] = field(default_factory=dict)
    #: key of an event -> ids of its rows; more than one where the answer to the first was lost with the server
    events: dict[str, list[int]] = field(default_factory=dict)
    #: key -> how often it was posted in vain, as far as the sender knows
    doubtful: Counter[str] = field(default_factory=Counter)


class Load:
    """A number of jobs and events, the same for the same seed, released in parts."""

    def __init__(
        self, rng: random.Random, *, jobs: int, events: int, workers: list[str], counters: list[str], job_s: float
    ) -> None:
        self.accepted = Accepted()
        self._rng = rng
        self._workers, self._counters, self._job_s = workers, counters, job_s
        self._queues: list[list[Item]] = [[] for _ in range(SENDERS)]
        orders = jobs // 4
        kinds = ["job"] * (jobs - orders) + ["order"] * orders + self._choices(KINDS, events - orders)
        rng.shuffle(kinds)
        for number, kind in enumerate(kinds):
            self._queues[number % SENDERS].append(self._item(number, kind))
        self._threads = [ThreadPoolExecutor(1, thread_name_prefix=f"sender-{n}") for n in range(SENDERS)]
        self._sent: list[Future[None]] = []
        self._over = threading.Event()

    def release(self, db: Database, prefix: str, part: int, parts: int) -> None:
        """Let each sender put in its share of one part, behind what it has still to do."""
        for queue, thread in zip(self._queues, self._threads, strict=True):
            share = queue[len(queue) * part // parts : len(queue) * (part + 1) // parts]
            self._sent.append(thread.submit(self._put_in, db, prefix, share))

    @property
    def sent(self) -> bool:
        """Return True if everything released was sent. Raise the error that made a sender give up."""
        return all(future.done() and future.result() is None for future in self._sent)

    def close(self) -> None:
        """End the senders."""
        self._over.set()
        for thread in self._threads:
            thread.shutdown()

    # Helpers

    def _choices(self, weights: dict[str, int], count: int) -> list[str]:
        return self._rng.choices(list(weights), list(weights.values()), k=count)

    def _item(self, number: int, kind: str) -> Item:
        source = f"sender-{number % SENDERS}"
        key = f"{kind}-{number:06}"
        if kind == "job":
            return {"kind": kind, "job": self._job(f"job-{number:06}")}
        target = self._rng.choice(self._workers if kind in ("ping", "cut") else self._counters)
        item = {"kind": kind, "key": key, "source": source, "target": target}
        if kind == "order":
            told = f"told-{number:06}"
            more = {"job": self._job(f"ordered-{number:06}"), "tell": target, "told": {"key": told, told: 1}}
            return {**item, "target": "orders", "more": more}
        return item

    def _job(self, job_id: str) -> Item:
        fate = self._choices(FATES, 1)[0]
        seconds = round(self._rng.uniform(0.2, 1.8) * self._job_s, 4)
        most = 2 if fate == "fragile" else 1000
        return {"id": job_id, "data": {"fate": fate, "seconds": seconds}, "max_attempts": most}

    def _put_in(self, db: Database, prefix: str, items: list[Item]) -> None:
        for item in items:
            put = self._add_job if item["kind"] == "job" else self._send
            while not self._over.is_set() and not put(db, prefix, item):
                self._over.wait(0.05)  # the server is away

    def _add_job(self, db: Database, _prefix: str, item: Item) -> bool:
        job = item["job"]
        try:
            jobs.enqueue(db, job["id"], "work", data=job["data"], max_attempts=job["max_attempts"])
        except JobExists:
            pass  # the first answer was lost, not the job
        except StorageError:
            return False
        self.accepted.jobs[job["id"]] = job["data"]["fate"]
        return True

    def _send(self, db: Database, prefix: str, item: Item) -> bool:
        key, kind = item["key"], item["kind"]
        payload = {"key": key, key: 1, **item.get("more", {})}
        try:
            if kind == "stale":
                number = mailbox.post(db, item["target"], "tick", payload, source=item["source"], ttl_s=STALE_S).id
            else:
                event = delivery.Event(kind, payload, source=item["source"])
                sent = delivery.send(db, [item["target"]], event, prefix=prefix, event_socket=f"{prefix}-none")
                number = sent[0].event.id
        except StorageError:
            self.accepted.doubtful[key] += 1
            return False
        self.accepted.events.setdefault(key, []).append(number)
        if kind == "order":
            job = item["more"]["job"]
            self.accepted.ordered[job["id"]] = job["data"]["fate"]
        return True
