"""tally: writes down the event that led here."""

import os

from statemachine_engine.actions import BaseAction


class TallyAction(BaseAction):
    """One line: tally, machine, the event's key."""

    def execute(self, context):
        payload = context["event_data"]["payload"]
        if "key" in payload:
            journal = os.open("journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(journal, f"tally {context['machine_name']} {payload['key']}\n".encode())
            os.close(journal)
