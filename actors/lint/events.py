"""Check events: those without a transition, those that nothing uses, and their `context_map`."""

from __future__ import annotations

from collections.abc import Iterator

from ..definition.model import ANY_STATE, Mark
from ..definition.problems import did_you_mean, listing, quoted
from ..definition.schedule import ScheduledEvent
from ..definition.yaml_nodes import Node
from ..sockets.messages import START, event_data
from .finding import LintFinding
from .outcomes import Outcome, OutcomeKind
from .subject import Action, ActionList, Subject, names_in

_FIELDS = tuple(event_data(START))


def named_events_that_lead_nowhere(subject: Subject) -> Iterator[LintFinding]:
    """Report E009: an action names an event for its end, and no transition takes it there."""
    for group in subject.lists:
        for action, outcome in subject.outcomes(group) if _is_left(group, subject) else ():
            if outcome.named and not _is_harmless(outcome, action) and not subject.takes(group.state, outcome.event):
                message = f"{_place(group)} has no transition for {quoted(outcome.event)}"
                hint = did_you_mean(outcome.event, subject.definition.allowed(group.state))
                yield subject.finding(
                    "E009", _mark(action, outcome), message, hint or _add(group, outcome.event),
                    state=group.state, event=outcome.event,
                )  # fmt: skip


def default_events_that_lead_nowhere(subject: Subject) -> Iterator[LintFinding]:
    """Report W011: a list of actions may end with a default event that no transition takes."""
    for group in subject.lists:
        stays = group.transition is not None and group.transition.internal
        if stays or not _is_left(group, subject):
            continue
        for index, action in enumerate(group.actions):
            lost = [o for o in _good(action) if not o.named and _is_lost(o, action, group, subject)]
            if lost and _is_missed(index, group, subject):
                names = " and ".join(quoted(outcome.event) for outcome in lost)
                message = f"{quoted(action.spec.type)} causes {names}, for which {_place(group)} has no transition"
                hint = f"{_add(group, lost[0].event)}; with 'internal: true' if the machine is to wait"
                yield subject.finding(
                    "W011", action.node.mark, message, hint, state=group.state, event=lost[0].event
                )  # fmt: skip


def scheduled_events_that_lead_nowhere(subject: Subject) -> Iterator[LintFinding]:
    """Report E009: a schedule sends the machine an event that it takes in no state."""
    section = subject.root.get("schedules")
    for schedule in subject.definition.schedules:
        event = schedule.does.type if isinstance(schedule.does, ScheduledEvent) and not schedule.does.target else None
        if section is not None and event is not None and not subject.takes(ANY_STATE, event):
            message = f"schedule {quoted(schedule.name)} sends {quoted(event)}, for which no state has a transition"
            hint = did_you_mean(event, (t.event for t in subject.definition.transitions)) or "add a transition for it"
            yield subject.finding("E009", _scheduled_mark(section, schedule.name), message, hint, event=event)


def events_that_nobody_uses(subject: Subject) -> Iterator[LintFinding]:
    """Report W007: an event is declared, and nothing takes, causes, sends or maps it."""
    used = {transition.event for transition in subject.definition.transitions}
    used |= {outcome.event for group in subject.lists for _, outcome in subject.outcomes(group)}
    used |= {s.does.type for s in subject.definition.schedules if isinstance(s.does, ScheduledEvent)}
    used |= {str(action.spec.config.get("event_type")) for action in subject.actions}
    for node in names_in(subject.root.get("events")) if subject.is_graph else ():
        event = subject.definition.events.get(node.text)
        if event is not None and event.name not in used and not event.context_map:
            message = f"event {quoted(event.name)} is declared, and nothing takes or causes it"
            hint = did_you_mean(event.name, used - {event.name}) or "add a transition for it, or leave it out"
            yield subject.finding("W007", node.mark, message, hint, event=event.name)


def paths_into_the_message(subject: Subject) -> Iterator[LintFinding]:
    """Report E013: a `context_map` reads a field that no event has."""
    for name, body in subject.root.pairs_under("events"):
        for key, path in body.pairs_under("context_map"):
            field = path.text.partition(".")[0]
            if field not in _FIELDS:
                message = f"an event has no {quoted(field)}; it has {listing(_FIELDS)}"
                hint = did_you_mean(field, _FIELDS) or f"write 'payload.{path.text}' for a key of its payload"
                yield subject.finding("E013", path.mark, f"{key.text}: {message}", hint, event=name.text)


def _is_left(group: ActionList, subject: Subject) -> bool:
    """Return whether the state can be left. A dead end is reported by E007, and a final state is never left."""
    if group.state == ANY_STATE:
        return subject.is_graph
    return bool(subject.exits(group.state))


def _is_harmless(outcome: Outcome, action: Action) -> bool:
    """Return whether the event is the default anyway, as in `error: error` and `empty: no_jobs`."""
    declared = action.kind.events if action.kind is not None else None
    default = declared.get(outcome.key) if isinstance(declared, dict) else None
    return outcome.event == default if outcome.kind is OutcomeKind.EMPTY else outcome.event == "error"


def _is_missed(index: int, group: ActionList, subject: Subject) -> bool:
    """Return whether no later action leaves the state, and no event was left without a transition on purpose."""
    later = group.actions[index + 1 :]
    if any(action.outcomes.open or _leads_on(action, group, subject) for action in later):
        return False
    if any(_good(action) for action in later):
        return False  # only the last action that causes an event is reported
    action = group.actions[index]
    named = any(o.named and not subject.takes(group.state, o.event) for o in _good(action))
    return not named and not action.outcomes.open


def _is_lost(outcome: Outcome, action: Action, group: ActionList, subject: Subject) -> bool:
    tracked = str(action.spec.config.get("tracked_jobs_key") or "spawned_jobs")
    if outcome.key == "no_jobs_tracked" and _is_filled(tracked, subject):
        return False
    return subject.takes(group.state, outcome.event) is None


def _is_filled(list_key: str, subject: Subject) -> bool:
    """Return whether something puts jobs on the list that is waited for."""
    fills = [action.spec.config for action in subject.actions if action.custom or action.spec.type == "add_to_list"]
    return list_key in subject.definition.context or any(config.get("list_key") == list_key for config in fills)


def _leads_on(action: Action, group: ActionList, subject: Subject) -> bool:
    return any(subject.takes(group.state, outcome.event) for outcome in _good(action)) or action.is_watch


def _good(action: Action) -> list[Outcome]:
    return action.outcomes.of(OutcomeKind.GOOD)


def _place(group: ActionList) -> str:
    return "no state" if group.state == ANY_STATE else f"state {quoted(group.state)}"


def _add(group: ActionList, event: str) -> str:
    return f"add '- {{from: {group.state}, to: ..., event: {event}}}'"


def _mark(action: Action, outcome: Outcome) -> Mark:
    """Return the place where the file names the event."""
    value = action.value_of(outcome.key)
    named = [body for _, body in (value.pairs or ()) if body.text == outcome.event] if value is not None else []
    return named[0].mark if named else action.mark_of(outcome.key)


def _scheduled_mark(section: Node, name: str) -> Mark:
    """Return the place where a schedule names its event."""
    body = section.get(name)
    node = (body.get("event") if body is not None else None) or section
    return (node.get("type") or node).mark
