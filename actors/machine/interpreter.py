"""The interpreter of a machine's definition: it handles messages, moves, and changes the context."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..jobs import job_context, job_holder
from ..sockets.messages import EventMessage
from . import messages
from .action_run import ActionRun, error_events
from .audit_records import AuditRecords
from .checkpoint import Checkpointer, delay_of
from .context import admit, first_context
from .context_publisher import ContextPublisher
from .current_run import CurrentRun
from .failure_policy import FailurePolicy
from .mailbox_reader import MailboxReader
from .state_visit import StateVisit
from .step import Step, enter, interrupts, step

if TYPE_CHECKING:
    from ...storage.audit import Record
    from ...storage.snapshots import Snapshot
    from ..definition.model import ActionSpec, Definition, Outcome
    from .dependencies import MachineDependencies

log = logging.getLogger(__name__)

#: seconds that a state lasts at least before its own action, or a watch that found nothing, moves the machine on: the
#: older engines' tick, so that no configuration can loop without a pause
PACE_S = 0.05


class Interpreter:
    """Takes events one at a time, moves, and runs the actions of each state that it enters.

    All methods are called in the actor's thread. `tell` puts a message into the actor's inbox, `stop` ends the actor
    after the current message.
    """

    def __init__(
        self,
        definition: Definition,
        context: Mapping[str, Any],
        dependencies: MachineDependencies,
        resumed: Snapshot | None,
        *,
        tell: Callable[[Any], None],
        stop: Callable[[], None],
    ) -> None:
        resources, self._status = dependencies.resources, dependencies.status
        self._resumed = resumed
        self._checkpointer = Checkpointer(definition, dependencies)
        self._definition = definition
        self._dependencies = dependencies
        self._name = self._status.name
        self._state = definition.initial_state
        self._context = first_context(definition, context, self._name, resumed.context if resumed else None)
        self._status.context = self._context
        self._tell, self._stop = tell, stop
        self._visit = StateVisit(0, (), resources, tell)
        self._current = CurrentRun(self._name, dependencies, tell)
        self._outcome: Outcome | None = None
        self._final = False
        #: the machine has ended, and only keeps the events that still come
        self.ended = False
        self._draining = False
        self._debugs = log.isEnabledFor(logging.DEBUG)  # asked once: an event takes 40 us, asking twice 0.5
        self._context_publisher = ContextPublisher(self._name, resources, tell)
        self._mailbox = MailboxReader(resources.db, self._name, resources.recorder.outage)
        self._records = AuditRecords(self._name, definition.config_type, resources.incarnation, resources.db.clock)
        self._failure_policy = FailurePolicy(definition, dependencies, self._records)
        self._record = resources.recorder.record
        self._handlers: dict[type, Callable[[Any], None]] = {
            EventMessage: self._arrived,
            messages.ActionsDone: self._run_goes_on,
            messages.PauseOver: self._run_goes_on,
            messages.RerunDue: self._visit_goes_on,
            messages.TimerFired: self._timer_fired,
            messages.DelayOver: self._visit_goes_on,
            messages.Unread: self._unread,
            messages.ContextDue: self._context_due,
            messages.JobGone: self._job_gone,
            job_holder.JobOverdue: self._job_overdue,
            messages.Begin: self._begin,
            messages.Halt: self._halt,
        }

    def receive(self, message: Any) -> None:
        """Handle one message."""
        if self.ended:
            if isinstance(message, EventMessage):
                self._mailbox.keep(message)
            return
        self._current.begin_chain()
        self._handlers[type(message)](message)

    def abandon(self) -> None:
        """Drop everything after a crash; rows that were not processed are delivered to the next actor."""
        self.ended = True
        self._cancel_run()
        self._visit.end()
        self._current.close()
        self._dependencies.gate.set()

    # Messages

    def _begin(self, _message: messages.Begin) -> None:
        self._record(self._records.registered(self._state))
        if self._resumed is not None:
            self._resume(self._resumed)
        else:
            move = step(self._definition, self._state, "start")
            self._take(move or enter(self._definition), "start" if move else None)
        self._accept(self._mailbox.fetch())

    def _arrived(self, event: EventMessage) -> None:
        self._accept(self._mailbox.accept(event, self._acts_at_once))

    def _unread(self, _message: messages.Unread) -> None:
        self._accept(self._mailbox.overlooked())

    def _run_goes_on(self, message: messages.ActionsDone | messages.PauseOver) -> None:
        if cleared := message.run.services.cleared:
            self._mailbox.forget(cleared)
        if self._current.receive(message):
            self._go_on()

    def _timer_fired(self, message: messages.TimerFired) -> None:
        move = step(self._definition, self._state, message.event) if message.visit == self._visit.number else None
        if move is not None and not self._draining and not self._final:
            self._take(move, message.event)
            self._go_on()

    def _visit_goes_on(self, message: messages.RerunDue | messages.DelayOver) -> None:
        self._visit.receive(message)
        self._go_on()

    def _context_due(self, _message: messages.ContextDue) -> None:
        self._context_publisher.due()
        self._record(*self._context_publisher.look(dict(self._context)))  # running actions may change the original

    def _job_gone(self, message: messages.JobGone) -> None:
        if self._dependencies.job_holder.lose(message.job_id, message.attempt):
            self._go_on_without_job(message.job_id, message.reason)

    def _job_overdue(self, message: job_holder.JobOverdue) -> None:
        if (reason := self._failure_policy.time_out_job(message, self._tell)) is not None:
            self._go_on_without_job(message.job_id, reason)

    def _halt(self, message: messages.Halt) -> None:
        self._draining = True
        if not (self._current.uses_context and message.drain):
            self._stop_here()

    # Events

    def _accept(self, events: list[EventMessage]) -> None:
        """Handle each event now, or keep it until the actions that run have ended."""
        for event in events:
            if self.ended:
                self._mailbox.keep(event)
            elif (self._current.run is None and not self._mailbox) or self._acts_at_once(event):
                self._handle(event)
            else:
                self._mailbox.wait(event)
        self._go_on()

    def _acts_at_once(self, event: EventMessage) -> bool:
        return not (self._final or self._draining) and interrupts(self._definition, self._state, event.type)

    def _handle(self, event: EventMessage) -> None:
        move = step(self._definition, self._state, event.type)
        if move is None and self._visit.has_delayed and self._mailbox.defer(event):
            return  # a move is delayed, and the next state may take the event
        admit(self._definition, self._context, event)
        if self._debugs:
            source = event.source or "outside"
            log.debug("%s: event %s from %s, in state %s", self._name, event.type, source, self._state)
        received = self._records.received(event)
        if move is not None:
            self._take(move, event.type, received, self._records.settled(event, "processed"))
            return
        settled = self._records.settled(event, "ignored")
        self._record(received, settled, *self._context_publisher.look(self._context))
        if (error := self._failure_policy.note_unhandled(event.type, {"source": event.source})) is not None:
            self._fail_unhandled(error)

    def _go_on(self) -> None:
        """Handle the end of a run; while none is under way, start what is due, then take the events that wait."""
        while not self.ended:
            if (run := self._current.take_ended()) is not None:
                self._settle(run)
            elif self._current.run is not None:
                return
            elif self._draining:
                self._stop_here()
            elif self._visit.due:
                self._visit.due.popleft()()
            elif self._visit.reruns:
                self._rerun(self._visit.reruns.pop())
            elif self._mailbox.deferred and not self._visit.has_delayed:
                self._mailbox.recall()
            elif (event := self._mailbox.next()) is not None:
                self._handle(event)
            else:
                return

    # Moves

    def _take(self, move: Step, trigger: str | None, *records: Record) -> None:
        """Make a move: leave the state, enter the next one, record it, and run the actions."""
        source = self._state
        if self._debugs:
            log.debug("%s: %s --%s--> %s", self._name, source, trigger or "", move.target)
        self._cancel_run()
        if not move.internal:
            self._enter(move)
        if trigger is not None and (move.actions or not move.internal):
            records = (*records, self._records.changed(source, move, trigger))
        if not move.internal:
            for transition in move.timeouts:
                self._visit.arm(transition, transition.timeout_s or 0.0)
        self._record(*records, self._records.state(self._state), *self._snapshot(settled=False))
        self._start(move.actions)

    def _resume(self, snapshot: Snapshot) -> None:
        """Enter the state of a snapshot, with its context, its job and the rest of its timers."""
        job_context.remove_job(self._context)
        if self._dependencies.job_holder.current is not None:
            job_context.put_job(self._context, self._dependencies.job_holder.current)
        move, now_s = enter(self._definition, snapshot.state), self._dependencies.resources.db.clock.now()
        self._enter(move)
        for transition in move.timeouts:
            self._visit.arm(transition, delay_of(transition, self._definition.timers, snapshot, now_s))
        self._record(self._records.resumed(snapshot), self._records.state(self._state), *self._snapshot(settled=False))
        self._start(move.actions, only_waiting=snapshot.settled)

    def _snapshot(self, *, settled: bool) -> tuple[Record, ...]:
        saved = self._checkpointer.snapshot(self._state, self._context, self._visit.deadlines, settled=settled)
        return saved + self._context_publisher.look(self._context)

    def _enter(self, move: Step) -> None:
        self._visit.end()
        self._visit = StateVisit(self._visit.number + 1, move.actions, self._dependencies.resources, self._tell)
        self._context["previous_state"] = self._state
        self._context["current_state"] = self._state = move.target
        self._outcome, self._final = move.outcome, move.outcome is not None
        if self._status.status == "failed":
            self._dependencies.report_status("running")
        self._status.status = "running"
        self._status.enter(move.target)

    # Runs

    def _start(
        self, actions: tuple[ActionSpec, ...], *, start: int = 0, rerun: bool = False, only_waiting: bool = False
    ) -> None:
        if not actions:
            if self._final:
                self._end(self._outcome)
            return
        services = self._dependencies.services()
        run = ActionRun(
            self._visit.number, self._state, actions, self._context, services, start, rerun, only_waiting, self._final
        )
        self._current.perform(run)

    def _rerun(self, action: int) -> None:
        if self._visit.unpark(action):
            self._start(self._visit.actions, start=action, rerun=True)

    def _settle(self, run: ActionRun) -> None:
        """Handle the result of a run."""
        if changed := self._context_publisher.look(self._context):
            self._record(*changed)
        if run.pause is not None:
            if self._draining:
                self._stop_here()
            else:
                self._failure_policy.note_retry(run.pause)
                self._current.pause(run, run.pause.delay_s)
            return
        self._current.clear()
        noted = [self._failure_policy.note_unhandled(event, {"action": action}) for action, event in run.unhandled]
        if self._final:
            self._end("failure" if run.failure is not None else self._outcome)
        elif self._draining and self._dependencies.job_holder.current is None:
            self._stop_here()
        elif run.failure is not None:
            self._retry(run.actions, run.failure.message)
        elif run.step is not None and run.event is not None:
            self._move_on(run, run.step, run.event)
        else:
            self._park(run)
            if noted and noted[0] is not None:
                self._fail_unhandled(noted[0])

    def _move_on(self, run: ActionRun, move: Step, event: str) -> None:
        """Take the move that an action's event causes, not sooner than PACE_S after entry if it could loop."""
        if move.internal:
            self._park(run)  # the state goes on, and so do its actions that repeat or watch
        wait_s = PACE_S - self._visit.lasted_s if move.reentered or run.found_nothing else 0.0
        if wait_s > 0:
            self._visit.delay(wait_s, lambda: self._take(move, event))
        else:
            self._take(move, event)

    def _cancel_run(self) -> None:
        """Cancel the running actions, which keep the old context."""
        if self._current.cancel():
            self._dependencies.job_holder.note_cut_off()
            self._context = self._status.context = dict(self._context)

    def _park(self, run: ActionRun) -> None:
        if run.actions is not self._visit.actions:
            return  # the actions of an internal transition are not the state's, and do not run again
        self._visit.retries = 0
        if snapshot := self._snapshot(settled=True):
            self._record(*snapshot)
        for waiting in run.waiting:
            self._visit.park(waiting)

    # Failures

    def _go_on_without_job(self, job_id: str, reason: str) -> None:
        """Cancel what runs, since the job was taken from the machine, and go on as after a failed action."""
        log.warning("%s: %s", self._name, reason)
        run = self._current.run
        self._cancel_run()
        self._context["last_error"], self._context["last_error_action"] = reason, None
        self._record(self._records.note("error", {"error_message": reason, "action": None, "job_id": job_id}))
        if self._final:
            self._end("failure")
        elif not self._draining:
            self._fail_over(run, reason)
        self._go_on()

    def _fail_over(self, run: ActionRun | None, reason: str) -> None:
        """Take the transition of the action's error event, or retry the actions without the keys of that job."""
        for event in ("error",) if run is None else error_events(run.action):
            if (move := step(self._definition, self._state, event)) is not None:
                self._take(move, event)
                return
        job_context.remove_job(self._context)
        actions = self._visit.actions if run is None else run.actions
        if not actions:
            self._failure_policy.mark_failed(reason)
        elif not self._visit.has_delayed:
            self._retry(actions, reason)

    def _retry(self, actions: tuple[ActionSpec, ...], reason: str) -> None:
        """Run the actions again after a delay; mark the machine as failed if all retries are used up."""
        delay_s = self._failure_policy.retry_delay(self._visit, reason)
        if delay_s is None:
            self._failure_policy.mark_failed(reason)
        else:
            self._visit.delay(delay_s, lambda: self._start(actions))

    def _fail_unhandled(self, message: str) -> None:
        """Take the `error` transition because of an unhandled event; without one, mark the machine as failed."""
        if self.ended:
            return
        self._context["last_error"], self._context["last_error_action"] = message, None
        if (move := step(self._definition, self._state, "error")) is not None:
            self._take(move, "error")
        else:
            self._failure_policy.mark_failed(message)

    # The end

    def _end(self, outcome: Outcome | None) -> None:
        """End after the actions of a final state."""
        failure = str(self._context.get("last_error") or "failed") if outcome == "failure" else None
        self._failure_policy.settle_job(lambda holder: holder.finish(failure=failure))
        self._finish(outcome)

    def _stop_here(self) -> None:
        """End because of a stop from outside: the job is released, and waiting events stay in the mailbox."""
        self._cancel_run()
        self._failure_policy.settle_job(lambda holder: holder.release())
        self._finish(None)

    def _finish(self, outcome: Outcome | None) -> None:
        self.ended = True
        self._visit.end()
        self._mailbox.keep_all()
        self._current.close()
        self._record(
            self._records.terminated(self._state, outcome),
            *(self._checkpointer.end() if outcome is not None else ()),
            *self._context_publisher.last_look(self._context),
        )
        self._dependencies.gate.set()
        self._dependencies.ended(outcome)
        self._stop()
