"""The keys of a machine's file and what each means: for the loader, for the schema, for the reference."""

from __future__ import annotations

from collections.abc import Mapping

Keys = Mapping[str, str]
"""Key -> its meaning."""

MACHINE: Keys = {
    "name": "A title for people and diagrams.",
    "description": "What the machine is for.",
    "version": "The version of this file; yours.",
    "metadata": "`machine_name`, and whatever you like; actions read it as {config.metadata.KEY}.",
    "initial_state": "Where the machine starts (`waiting` unless said).",
    "states": "Its states: a list of names, or a map from name to description or settings. "
    "Unless said, those that transitions name.",
    "state_groups": "Groups of states, for diagrams: a map from group to states.",
    "events": "Its events: a list of names, or a map from name to description or settings. "
    "Unless said, those that transitions name.",
    "transitions": "Which event leads from where to where.",
    "actions": "What entering a state runs: a map from state to its list of actions.",
    "schedules": "What is done by the clock while the machine runs: a map from name to settings.",
    "context": "The variables that the machine starts with; --context and --initial-context override them. "
    "{secret: env:NAME} and {secret: file:PATH} are values that never show.",
    "final": "The states that end the machine: a list, a map from state to `success` or `failure`, or the other way "
    "round. `stopped` always does.",
    "on_restart": "Where it starts after it was stopped or killed: `initial` (unless said), `resume` for where it was, "
    "or the name of a state.",
    "timers": "The timeouts of a machine that resumes: `deadline` keeps when they are due, `remaining` how long they "
    "have left, `restart` begins anew.",
    "on_error": "How a state's actions are tried again after an error that no transition takes.",
    "on_unhandled": "What an event that no transition takes does: `ignore` only records it, `error` makes it an error.",
    "template": "Many machines are made from this file.",
    "actions_root": "Folder of custom actions, seen from this file; for tools, the engine takes --actions-dir.",
}

METADATA: Keys = {
    "machine_name": "The machine's address for events (the file's name unless said); --machine-name overrides it.",
    "name": "A title for people, where there is no `name` beside `metadata`.",
    "version": "The version of this file, for diagrams.",
    "job_type": "The type of jobs that it works on, for diagrams.",
}
"""Those that something reads; any other may stand there as well."""

STATE: Keys = {
    "description": "What the machine does or waits for here.",
    "group": "The group it belongs to, for diagrams.",
    "parent": "The state that it lies in, for diagrams.",
    "actions": "What entering it runs, one after another; in place of its list under `actions`.",
    "outcome": "How the machine ends here; makes the state final.",
    "final": "Whether the machine ends here; `success` or `failure` says how.",
}

EVENT: Keys = {
    "context_map": "What its message leaves in the context: a map from variable to a path such as payload.user.id.",
    "description": "What it means.",
}

TRANSITION: Keys = {
    "from": 'The state that it leads out of, a list of them, or "*" for any.',
    "to": "The state that is entered; left out where `internal` says that none is.",
    "event": "The event that takes it; timeout(N) fires N seconds after the state was entered (also 90s, 1m30s, 2h).",
    "actions": "What is run on the way, before the actions of the state entered.",
    "internal": "The state is not left: its actions do not start over and its timers go on.",
    "interrupt": 'Acts at once, also while actions run; what runs is cancelled. A timeout and one from "*" do anyway.',
    "description": "What it is for.",
}

ACTION: Keys = {
    "type": "Which action: a built-in one, or the name of your own file <type>_action.py.",
    "name": "A name for people.",
    "description": "What it is for.",
    "params": "Its keys may stand in here as well as beside `type`; those beside win.",
    "success": "The event after a good end.",
    "error": "The event after a bad end (`error` unless said).",
    "repeatable": "Run it again and again while the state lasts.",
    "run_policy": "`repeat_per_tick` is the same as repeatable: true.",
    "every": "How often it is run again, in seconds or as 1m30s (0.5 unless said); makes it repeatable.",
    "retry": "How it is tried again when it fails, before its failure counts.",
}
"""Those that every action takes."""

RETRY: Keys = {
    "max": "How often it is tried again after the first time (3).",
    "delay": "The wait before the first retry, in seconds or as 1m30s (1).",
    "factor": "By how much each wait is longer than the one before (2).",
    "max_delay": "The longest wait (60).",
    "jitter": "The share, from 0 to 1, by which each wait is made longer or shorter at random (0).",
    "on": "Which failures: exit codes, `timeout`, names of Python exception classes (any failure unless said).",
}

ON_ERROR: Keys = {
    "tries": "How often the actions are tried again before the machine is marked failed (3).",
    "delay": "The wait before the first retry, in seconds or as 1m30s (1).",
    "factor": "By how much each wait is longer than the one before (2).",
    "max_delay": "The longest wait (300).",
}

SCHEDULE: Keys = {
    "cron": "When: minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly.",
    "timezone": "The time zone of `cron`, such as Europe/Helsinki (UTC).",
    "job": "The job that is added: its type, or a mapping.",
    "event": "The event that is sent: its type, or a mapping.",
    "missed": "What becomes of firings that nobody was there for: `skip`, `once` for all of them, or `all` (once).",
    "window": "How long ago a missed firing may be and still be made up for, in seconds or as 6h (1d).",
    "overlap": "Whether it fires while the job or event before it is not done: `allow` or `skip` (allow).",
    "description": "What it is for.",
}

SCHEDULED_JOB: Keys = {
    "type": "Type of the job.",
    "job_id": "Its id; {date} {time} {datetime} {uuid} {host} are filled in (made of the schedule and the time).",
    "payload": "Its data; the same placeholders.",
    "machine_type": "Only machines that ask for this type get it.",
    "priority": "1 is taken first (5).",
    "max_attempts": "How often it is tried (3).",
    "backoff": "The first wait between attempts, in seconds or as 1m30s (the worker's, else 10).",
    "time_limit": "How long one attempt may take, in seconds or as 1m30s; any time unless said.",
}

SCHEDULED_EVENT: Keys = {
    "type": "The event.",
    "payload": "What goes with it; {date} {time} {datetime} {uuid} {host} are filled in.",
    "target": "The machine that gets it; unless said, the one that the schedule stands in.",
}

OUTCOMES = ("success", "failure")
ON_UNHANDLED = ("ignore", "error")
ON_RESTART = ("initial", "resume")
TIMERS = ("deadline", "remaining", "restart")
MISSED = ("skip", "once", "all")
OVERLAP = ("allow", "skip")
REPEATING = ("repeat_per_tick", "repeat")
RUN_POLICIES = (*REPEATING, "once")
OWN_KEYS = ("x-", "_", ".")
"""How keys begin that nothing reads and that are the user's own."""
