"""A process that runs machines as the `statemachine` command does, but writes no line for each thing that happens.

Started by `processes.Host`: settings as JSON in the first argument; says "ready" and ends when its stdin is closed.
"""

from __future__ import annotations

import json
import logging
import sys

from statemachine_engine import Runtime


def main() -> None:
    settings = json.loads(sys.argv[1])
    sys.setswitchinterval(0.0005)
    logging.basicConfig(level=logging.WARNING)
    db, prefix, socket = settings["db"], settings["control_prefix"], settings["event_socket"]
    with Runtime(db, control_prefix=prefix, event_socket=socket) as runtime:
        machines = [runtime.add(settings["config"], f"m{number}") for number in range(settings["count"])]
        for machine in machines:
            machine.wait_for(settings["state"], 60)
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
