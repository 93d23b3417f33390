"""The move that an event causes: a lookup without I/O, clock or thread."""

from __future__ import annotations

from dataclasses import dataclass

from ..definition.model import ActionSpec, Definition, Outcome, Transition


@dataclass(frozen=True, slots=True)
class Step:
    """One move of a machine, with all that has to be done for it."""

    transition: Transition | None
    """None for the entry of the initial state."""
    source: str
    target: str
    reentered: bool
    """The state is left and entered again: its actions and timers start again."""
    actions: tuple[ActionSpec, ...]
    """The actions to run, in order: the transition's, then those of the state that is entered."""
    timeouts: tuple[Transition, ...]
    """The timers to arm; an internal transition arms none and keeps the running ones."""
    outcome: Outcome | None
    """The outcome of the machine if it ends with this move."""

    @property
    def internal(self) -> bool:
        """True if the machine stays in its state without entering it again."""
        return self.transition is not None and self.transition.internal


def step(definition: Definition, state: str, event: str) -> Step | None:
    """Return the move that `event` causes in `state`; None if no transition takes it."""
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
    """Return the move into the initial state, or into the state in which the machine resumes."""
    initial = definition.states[state or definition.initial_state]
    return Step(None, initial.name, initial.name, False, initial.actions, initial.timeouts, initial.outcome)


def interrupts(definition: Definition, state: str, event: str) -> bool:
    """Return True if `event` acts in `state` at once and cancels the actions that run."""
    transition = definition.find(state, event)
    return transition is not None and transition.interrupts
