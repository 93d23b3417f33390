"""record: append the event that led here to the journal."""

import os

from statemachine_engine.actions import BaseAction


class RecordAction(BaseAction):
    """Append a line: record, machine, the event's key."""

    def execute(self, context):
        payload = context["event_data"]["payload"]
        if "key" in payload:
            journal = os.open("journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(journal, f"record {context['machine_name']} {payload['key']}\n".encode())
            os.close(journal)
