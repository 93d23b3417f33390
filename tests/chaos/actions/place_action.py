"""place: adds the job that an order asks for; one that is there already was added before the process was killed."""

import contextlib

from statemachine_engine.actions import BaseAction
from statemachine_engine.storage.errors import JobExists


class PlaceAction(BaseAction):
    """The job's id makes the order safe to repeat."""

    def execute(self, context):
        job = context["event_data"]["payload"]["job"]
        with contextlib.suppress(JobExists):
            self.services.jobs.enqueue(job["id"], "work", data=job["data"], max_attempts=job["max_attempts"])
        return "placed"
