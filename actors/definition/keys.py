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
    UNREAD,
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
    "name": Field(TEXT, "A title for people and diagrams."),
    "description": Field(TEXT, "What the machine is for."),
    "version": Field(UNREAD, "The version of this file; yours."),
    "metadata": Field(
        section("metadata"), "`machine_name`, and whatever you like; actions read it as {config.metadata.KEY}."
    ),
    "initial_state": Field(section("state_name"), "Where the machine starts (default: `waiting`)."),
    "states": Field(
        section("states"),
        "Its states: a list of names, or a map from name to description or settings. "
        "Default: those that transitions name.",
    ),
    "state_groups": Field(section("state_groups"), "Groups of states, for diagrams: a map from group to states."),
    "events": Field(
        section("events"),
        "Its events: a list of names, or a map from name to description or settings. "
        "Default: those that transitions name.",
    ),
    "transitions": Field(UNREAD, "Which event leads from where to where."),
    "actions": Field(UNREAD, "What entering a state runs: a map from state to its list of actions."),
    "schedules": Field(UNREAD, "What is done by the clock while the machine runs: a map from name to settings."),
    "context": Field(
        UNREAD,
        "The variables that the machine starts with; --context and --initial-context override them. "
        "{secret: env:NAME} and {secret: file:PATH} are values that are never shown.",
    ),
    "final": Field(
        section("final"),
        "The states that end the machine: a list, a map from state to `success` or `failure`, or the other way "
        "round. `stopped` always does.",
    ),
    "on_restart": Field(
        UNREAD,
        "Where it starts after it was stopped or killed: `initial` (default), `resume` for where it was, "
        "or the name of a state.",
    ),
    "timers": Field(
        choice("deadline", "remaining", "restart"),
        "The timeouts of a machine that resumes: `deadline` keeps the time when they are due, `remaining` the time "
        "that they have left, `restart` starts them again.",
    ),
    "on_error": Field(UNREAD, "How a state's actions are tried again after an error that no transition takes."),
    "on_unhandled": Field(
        choice("ignore", "error"),
        "What an event that no transition takes does: `ignore` only records it, `error` makes it an error.",
    ),
    "template": Field(FLAG, "Many machines are made from this file."),
    "actions_root": Field(
        TEXT, "Folder of custom actions, seen from this file; for tools, the engine takes --actions-dir."
    ),
}

METADATA: Fields = {
    "machine_name": Field(
        UNREAD, "The machine's address for events (default: the file's name); --machine-name overrides it."
    ),
    "name": Field(TEXT, "A title for people, where there is no `name` beside `metadata`."),
    "version": Field(UNREAD, "The version of this file, for diagrams."),
    "job_type": Field(UNREAD, "The type of jobs that it works on, for diagrams."),
}
"""Those that the engine or its tools read; any other key may stand there as well."""

STATE_FIELDS: Fields = {
    "description": Field(TEXT, "What the machine does or waits for here."),
    "group": Field(TEXT, "The group it belongs to, for diagrams."),
    "parent": Field(STATE, "The state that it lies in, for diagrams."),
    "actions": Field(ACTIONS, "What entering it runs, one after another; in place of its list under `actions`."),
    "outcome": Field(choice(*OUTCOMES), "How the machine ends here; makes the state final."),
    "final": Field(UNREAD, "Whether the machine ends here; `success` or `failure` says how."),
}

EVENT: Fields = {
    "context_map": Field(
        UNREAD, "What its message leaves in the context: a map from variable to a path such as payload.user.id."
    ),
    "description": Field(TEXT, "What it means."),
}

TRANSITION: Fields = {
    "from": Field(UNREAD, 'The state that it leads out of, a list of them, or "*" for any.'),
    "to": Field(section("state_name"), "The state that is entered; left out where `internal` says that none is."),
    "event": Field(
        section("event_name"),
        "The event that takes it; timeout(N) fires N seconds after the state was entered (also 90s, 1m30s, 2h).",
    ),
    "actions": Field(section("actions"), "What is run on the way, before the actions of the state entered."),
    "internal": Field(FLAG, "The state is not left: its actions do not start over and its timers go on."),
    "interrupt": Field(
        FLAG, 'Acts at once, also while actions run; what runs is cancelled. A timeout and one from "*" do anyway.'
    ),
    "description": Field(TEXT, "What it is for."),
}

ACTION: Fields = {
    "type": Field(UNREAD, "Which action: a built-in one, or the name of your own file <type>_action.py."),
    "name": Field(UNREAD, "A name for people."),
    "description": Field(TEXT, "What it is for."),
    "params": Field(UNREAD, "Its keys may stand in here as well as beside `type`; those beside win."),
    "success": Field(section("event_or_none"), "The event after a good end."),
    "error": Field(section("event_or_none"), "The event after a bad end (default: `error`)."),
    "repeatable": Field(FLAG, "Run it again and again while the state lasts."),
    "run_policy": Field(choice(*REPEATING, "once"), "`repeat_per_tick` is the same as repeatable: true."),
    "every": Field(
        POSITIVE_DURATION, "How often it is run again, in seconds or as 1m30s (default: 0.5); makes it repeatable."
    ),
    "retry": Field(section("retry"), "How it is tried again when it fails, before its failure counts."),
}
"""The keys that every action takes."""

RETRY: Fields = {
    "max": Field(number(0, whole=True), "How often it is tried again after the first time (3)."),
    "delay": Field(DURATION, "The wait before the first retry, in seconds or as 1m30s (1)."),
    "factor": Field(number(1), "By how much each wait is longer than the one before (2)."),
    "max_delay": Field(DURATION, "The longest wait (60)."),
    "jitter": Field(
        number(0, 1), "The share, from 0 to 1, by which each wait is made longer or shorter at random (0)."
    ),
    "on": Field(
        UNREAD, "Which failures: exit codes, `timeout`, names of Python exception classes (default: any failure)."
    ),
}

ON_ERROR: Fields = {
    "tries": Field(number(0), "How often the actions are tried again before the machine is marked failed (3)."),
    "delay": RETRY["delay"],
    "factor": RETRY["factor"],
    "max_delay": Field(DURATION, "The longest wait (300)."),
}

SCHEDULE: Fields = {
    "cron": Field(
        UNREAD,
        "When: minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly.",
    ),
    "timezone": Field(UNREAD, "The time zone of `cron`, such as Europe/Helsinki (UTC)."),
    "job": Field(UNREAD, "The job that is added: its type, or a mapping."),
    "event": Field(UNREAD, "The event that is sent: its type, or a mapping."),
    "missed": Field(
        choice("skip", "once", "all"),
        "What becomes of firings that were missed: `skip`, `once` for all of them, or `all` (once).",
    ),
    "window": Field(
        POSITIVE_DURATION, "How long ago a missed firing may be and still be made up for, in seconds or as 6h (1d)."
    ),
    "overlap": Field(
        choice("allow", "skip"),
        "What happens while the job or event of the firing before is not done: `allow` fires, `skip` does not (allow).",
    ),
    "description": Field(TEXT, "What it is for."),
}

SCHEDULED_JOB: Fields = {
    "type": Field(section("name"), "Type of the job."),
    "job_id": Field(
        NAME, "Its id; {date} {time} {datetime} {uuid} {host} are filled in (made of the schedule and the time)."
    ),
    "payload": Field(VALUE, "Its data; the same placeholders."),
    "machine_type": Field(NAME, "Only machines that ask for this type get it."),
    "priority": Field(number(whole=True), "1 is taken first (5)."),
    "max_attempts": Field(number(1, whole=True), "How often it is tried (3)."),
    "backoff": Field(DURATION, "The first wait between attempts, in seconds or as 1m30s (the worker's, else 10)."),
    "time_limit": Field(DURATION, "How long one attempt may take, in seconds or as 1m30s (default: no limit)."),
}

SCHEDULED_EVENT: Fields = {
    "type": Field(section("name"), "The event."),
    "payload": Field(VALUE, "What goes with it; {date} {time} {datetime} {uuid} {host} are filled in."),
    "target": Field(NAME, "The machine that gets it (default: the one that the schedule stands in)."),
}
