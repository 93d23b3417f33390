"""What an event does to a machine: a lookup without I/O, clock or thread."""

from __future__ import annotations

from dataclasses import dataclass

from ..definition.model import ActionSpec, Definition, Outcome, Transition


@dataclass(frozen=True, slots=True)
class Step:
    """One move of a machine, and everything the move asks of the runtime."""

    transition: Transition | None
    """None for the entry of the initial state."""
    source: str
    target: str
    reentered: bool
    """The state was left and entered again: its actions and timers start afresh."""
    actions: tuple[ActionSpec, ...]
    """To be run in order: the transition's, then those of the state entered."""
    timeouts: tuple[Transition, ...]
    """Timers to arm; an internal transition arms none and leaves the running ones alone."""
    outcome: Outcome | None
    """How the machine ends with this move; None where it goes on."""

    @property
    def internal(self) -> bool:
        """Whether the machine stays where it is without entering the state again."""
        return self.transition is not None and self.transition.internal


def step(definition: Definition, state: str, event: str) -> Step | None:
    """The move that `event` causes in `state`; None where no transition takes it."""
    transition = definition.find(state, event)
    if transition is None:
        return None
    if transition.internal:
        return Step(transition, state, state, False, transition.actions, (), None)
    entered = definition.states[transition.target]
    return Step(
        transition=transition,
        source=state,
        target=entered.name,
        reentered=entered.name == state,
        actions=transition.actions + entered.actions,
        timeouts=entered.timeouts,
        outcome=entered.outcome,
    )


def enter(definition: Definition, state: str | None = None) -> Step:
    """The entry of the initial state, or of one that the machine resumes in, which no transition causes."""
    initial = definition.states[state or definition.initial_state]
    return Step(None, initial.name, initial.name, False, initial.actions, initial.timeouts, initial.outcome)


def interrupts(definition: Definition, state: str, event: str) -> bool:
    """Whether `event` acts in `state` at once, cancelling the actions that still run."""
    transition = definition.find(state, event)
    return transition is not None and transition.interrupts
