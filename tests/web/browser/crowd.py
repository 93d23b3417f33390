"""Many machines of one definition, moving: what the board is tried with (`python crowd.py FOLDER [COUNT]`)."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from statemachine_engine import Runtime

CONFIG = """\
name: Support ticket
description: Goes from hand to hand until it is solved
template: true
metadata: {machine_name: ticket}
initial_state: created

states:
  # === INTAKE ===
  - created
  - triaged
  # === WORK ===
  - assigned
  - in_progress
  - in_review
  # === WAITING ===
  - on_customer
  - on_vendor
  # === DONE ===
  - resolved
  - closed

final: [closed]

events: [triage, assign, begin, ask, escalate, answered, submit, accept, reject, close, reopen, cancel]

transitions:
  - {from: created, to: triaged, event: triage}
  - {from: triaged, to: assigned, event: assign}
  - {from: assigned, to: in_progress, event: begin}
  - {from: in_progress, to: on_customer, event: ask}
  - {from: in_progress, to: on_vendor, event: escalate}
  - {from: on_customer, to: in_progress, event: answered}
  - {from: on_vendor, to: in_progress, event: answered}
  - {from: in_progress, to: in_review, event: submit}
  - {from: in_review, to: resolved, event: accept}
  - {from: in_review, to: in_progress, event: reject}
  - {from: resolved, to: created, event: reopen}
  - {from: resolved, to: closed, event: close}
  - {from: on_customer, to: resolved, event: timeout(30m)}
  - {from: "*", to: closed, event: cancel}
"""

NEXT = {
    "created": ["triage"],
    "triaged": ["assign"],
    "assigned": ["begin"],
    "in_progress": ["ask", "escalate", "submit", "submit"],
    "on_customer": ["answered"],
    "on_vendor": ["answered"],
    "in_review": ["accept", "accept", "reject"],
    "resolved": ["reopen"],
}


def main(folder: Path, count: int, pause_s: float = 0.05) -> None:
    """Run until it is interrupted; a machine moves every `pause_s` seconds."""
    config = folder / "ticket.yaml"
    config.write_text(CONFIG)
    chance = random.Random(7)
    with Runtime(folder / "data" / "pipeline.db") as runtime:
        machines = [runtime.add(config, f"ticket_{n:04d}") for n in range(1, count + 1)]
        for machine in machines:
            for _ in range(chance.randrange(9)):
                machine.send(chance.choice(NEXT.get(machine.state, ["triage"])))
        print("ready", flush=True)
        while not runtime.wait(pause_s) or True:
            machine = chance.choice(machines)
            machine.send(chance.choice(NEXT.get(machine.state, ["cancel"])))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
