"""The keys of a machine's file: what each takes and means. The loader, the JSON Schema and the reference use them."""

from __future__ import annotations

from .field_kinds import (
    ACTIONS,
    DURATION,
    FLAG,
    NAME,
    POSITIVE_DURATION,
    STATE,
    TEXT,
    VALUE,
    Field,
    Fields,
    choice,
    number,
    section,
)

OUTCOMES = ("success", "failure")
ON_RESTART = ("initial", "resume")
REPEATING = ("repeat_per_tick", "repeat")

MACHINE: Fields = {
    "name": Field("A title for people and diagrams.", TEXT),
    "description": Field("What the machine is for.", TEXT),
    "version": Field("The version of this file; yours."),
    "metadata": Field("`machine_name` and keys of your own; actions read {config.metadata.KEY}.", section("metadata")),
    "initial_state": Field("Where the machine starts (default: `waiting`).", section("state_name")),
    "states": Field(
        "Its states: a list of names, or a map from name to description or settings. "
        "Default: those that transitions name.",
        section("states"),
    ),
    "state_groups": Field("Groups of states, for diagrams: a map from group to states.", section("state_groups")),
    "events": Field(
        "Its events: a list of names, or a map from name to description or settings. "
        "Default: those that transitions name.",
        section("events"),
    ),
    "transitions": Field("Which event leads from where to where."),
    "actions": Field("What entering a state runs: a map from state to its list of actions."),
    "schedules": Field("What is done by the clock while the machine runs: a map from name to settings."),
    "context": Field(
        "The variables that the machine starts with; --context and --initial-context override them. "
        "{secret: env:NAME} and {secret: file:PATH} are values that are never shown."
    ),
    "final": Field(
        "The states that end the machine: a list, a map from state to `success` or `failure`, or the other way "
        "round. `stopped` always does.",
        section("final"),
    ),
    "on_restart": Field(
        "Where it starts after it was stopped or killed: `initial` (default), `resume` for where it was, "
        "or the name of a state."
    ),
    "timers": Field(
        "The timeouts of a machine that resumes: `deadline` keeps the time when they are due, `remaining` the time "
        "that they have left, `restart` starts them again.",
        choice("deadline", "remaining", "restart"),
    ),
    "on_error": Field("How a state's actions are tried again after an error that no transition takes."),
    "on_unhandled": Field(
        "What an event that no transition takes does: `ignore` only records it, `error` makes it an error.",
        choice("ignore", "error"),
    ),
    "template": Field("Many machines are made from this file.", FLAG),
    "actions_root": Field("Folder of custom actions, seen from this file; the engine takes --actions-dir.", TEXT),
}

METADATA: Fields = {
    "machine_name": Field("The machine's address for events (default: the file's name); --machine-name overrides it."),
    "name": Field("A title for people, where there is no `name` beside `metadata`.", TEXT),
    "version": Field("The version of this file, for diagrams."),
    "job_type": Field("The type of jobs that it works on, for diagrams."),
}
"""Those that the engine or its tools read; any other key may stand there as well."""

STATE_FIELDS: Fields = {
    "description": Field("What the machine does or waits for here.", TEXT),
    "group": Field("The group it belongs to, for diagrams.", TEXT),
    "parent": Field("The state that it lies in, for diagrams.", STATE),
    "actions": Field("What entering it runs, one after another; in place of its list under `actions`.", ACTIONS),
    "outcome": Field("How the machine ends here; makes the state final.", choice(*OUTCOMES)),
    "final": Field("Whether the machine ends here; `success` or `failure` says how."),
}

EVENT: Fields = {
    "context_map": Field("What it leaves in the context: a map from variable to a path such as payload.user.id."),
    "description": Field("What it means.", TEXT),
}

TRANSITION: Fields = {
    "from": Field('The state that it leads out of, a list of them, or "*" for any.'),
    "to": Field("The state that is entered; left out where `internal` says that none is.", section("state_name")),
    "event": Field(
        "The event that takes it; timeout(N) fires N seconds after the state was entered (also 90s, 1m30s, 2h).",
        section("event_name"),
    ),
    "actions": Field("What is run on the way, before the actions of the state entered.", section("actions")),
    "internal": Field("The state is not left: its actions do not start over and its timers go on.", FLAG),
    "interrupt": Field('Cancels running actions and acts at once. A timeout and one from "*" do anyway.', FLAG),
    "description": Field("What it is for.", TEXT),
}

ACTION: Fields = {
    "type": Field("Which action: a built-in one, or the name of your own file <type>_action.py."),
    "name": Field("A name for people."),
    "description": Field("What it is for.", TEXT),
    "params": Field("Its keys may stand in here as well as beside `type`; those beside win."),
    "success": Field("The event after a good end.", section("event_or_none")),
    "error": Field("The event after a bad end (default: `error`).", section("event_or_none")),
    "repeatable": Field("Run it again and again while the state lasts.", FLAG),
    "run_policy": Field("`repeat_per_tick` is the same as repeatable: true.", choice(*REPEATING, "once")),
    "every": Field("The seconds between its runs, also as 1m30s (0.5); makes it repeatable.", POSITIVE_DURATION),
    "retry": Field("How it is tried again when it fails, before its failure counts.", section("retry")),
}
"""The keys that every action takes."""

RETRY: Fields = {
    "max": Field("How often it is tried again after the first time (3).", number(0, whole=True)),
    "delay": Field("The wait before the first retry, in seconds or as 1m30s (1).", DURATION),
    "factor": Field("By how much each wait is longer than the one before (2).", number(1)),
    "max_delay": Field("The longest wait (60).", DURATION),
    "jitter": Field("The share, from 0 to 1, by which each wait varies at random (0).", number(0, 1)),
    "on": Field(
        "Which failures: exit codes, statuses of HTTP, `timeout`, names of Python exception classes "
        "(default: any failure).",
    ),
}

ON_ERROR: Fields = {
    "tries": Field("How often the actions are tried again before the machine is marked failed (3).", number(0)),
    "delay": RETRY["delay"],
    "factor": RETRY["factor"],
    "max_delay": Field("The longest wait (300).", DURATION),
}

SCHEDULE: Fields = {
    "cron": Field("Minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly."),
    "timezone": Field("The time zone of `cron`, such as Europe/Helsinki (UTC)."),
    "job": Field("The job that is added: its type, or a mapping."),
    "event": Field("The event that is sent: its type, or a mapping."),
    "missed": Field(
        "What becomes of firings that were missed: `skip`, `once` for all of them, or `all` (once).",
        choice("skip", "once", "all"),
    ),
    "window": Field("The greatest age of a missed firing that is made up for, as 6h (1d).", POSITIVE_DURATION),
    "overlap": Field("`skip`: no firing while the last job or event is not done (`allow`).", choice("allow", "skip")),
    "description": Field("What it is for.", TEXT),
}

SCHEDULED_JOB: Fields = {
    "type": Field("Type of the job.", section("name")),
    "job_id": Field("Its id; {date} {time} {datetime} {uuid} {host} are filled in (default: schedule and time).", NAME),
    "payload": Field("Its data; the same placeholders.", VALUE),
    "machine_type": Field("Only machines that ask for this type get it.", NAME),
    "priority": Field("1 is taken first (5).", number(whole=True)),
    "max_attempts": Field("How often it is tried (3).", number(1, whole=True)),
    "backoff": Field("The first wait between attempts, in seconds or as 1m30s (the worker's, else 10).", DURATION),
    "time_limit": Field("How long one attempt may take, in seconds or as 1m30s (default: no limit).", DURATION),
}

SCHEDULED_EVENT: Fields = {
    "type": Field("The event.", section("name")),
    "payload": Field("What goes with it; {date} {time} {datetime} {uuid} {host} are filled in.", VALUE),
    "target": Field("The machine that gets it (default: the one that the schedule stands in).", NAME),
}
