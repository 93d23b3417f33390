"""work: takes the time that its job says, and writes down when it begins and when it is done."""

import os
import time

from statemachine_engine.actions import BaseAction

OUTCOMES = {"complete": "worked", "fragile": "worked", "left": "left", "fail": "spoiled", "shell": "shell"}


class WorkAction(BaseAction):
    """One line each for begin and end: word, job, attempt, machine, process."""

    def execute(self, context):
        job = context["current_job"]
        line = f"{job['id']} {job['attempt']} {context['machine_name']} {os.getpid()}"
        write(f"begin {line}")
        time.sleep(job["data"]["seconds"])
        write(f"end {line}")
        if job["data"]["fate"] == "raise":
            raise RuntimeError("as it was told")
        return OUTCOMES[job["data"]["fate"]]


def write(line):
    """Append a line in one piece, whoever else writes."""
    journal = os.open("journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(journal, f"{line}\n".encode())
    os.close(journal)
