"""What a machine does with each message: its state and context, changed by its actor's thread alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...storage.errors import StorageError
from ..jobs.job_context import drop, hold
from ..sockets.messages import EventMessage
from .action_run import ActionRun, ActionsDone, Pause, PauseOver, error_events
from .audit_records import AuditRecords
from .checkpoint import Checkpointer, delay_of
from .context import admit, first_context
from .context_publisher import ContextPublisher
from .mailbox_reader import MailboxReader
from .messages import Begin, ContextDue, Halt, JobGone, JobOverdue, Resume, TimerFired, Unread, Woken
from .state_visit import StateVisit
from .step import Step, enter, interrupts, step
from .work import Work

if TYPE_CHECKING:
    from ...storage.audit import Record
    from ...storage.snapshots import Snapshot
    from ..definition.model import ActionSpec, Definition, Outcome
    from .dependencies import MachineDependencies

log = logging.getLogger(__name__)

#: seconds that a state lasts at least when its own action, or a watch that found nothing, leads on: the older
#: engines' tick, so that no configuration can spin
PACE_S = 0.05

#: seconds until a job that is over its time, and could not be ended, is looked at again
OVERDUE_AGAIN_S = 1.0


class Interpreter:
    """Takes events one at a time, moves, and hands the actions of each state it enters to a worker thread.

    All its methods are called in the thread of its actor. `tell` puts a message into the actor's inbox, `stop` ends
    the actor after the message that it handles.
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
        self._resumed = resumed
        self._checkpointer = Checkpointer(definition, dependencies)
        self._definition = definition
        self._dependencies = dependencies
        self._status = dependencies.status
        self._name = dependencies.status.name
        self._state = definition.initial_state
        self._context = first_context(definition, context, self._name, resumed.context if resumed else None)
        self._status.context = self._context
        self._tell, self._stop = tell, stop
        self._visit = self._new_visit(0, ())
        self._work = Work(self._name, dependencies, tell)
        self._outcome: Outcome | None = None
        self._final = False
        #: it does nothing any more, but keep the events that still come
        self.ended = False
        self._draining = False
        self._debugs = log.isEnabledFor(logging.DEBUG)  # asked once: an event is 40 us, and asking twice is 0.5
        self._context_publisher = ContextPublisher(self._name, dependencies.resources, tell)
        self._mail = MailboxReader(dependencies.resources.db, self._name, dependencies.resources.recorder.outage)
        self._records = AuditRecords(
            self._name, definition.config_type, dependencies.resources.incarnation, dependencies.resources.db.clock
        )
        self._record = dependencies.resources.recorder.record
        self._handlers: dict[type, Callable[[Any], None]] = {
            EventMessage: self._arrived,
            ActionsDone: self._done,
            PauseOver: self._pause_over,
            Woken: self._wake,
            TimerFired: self._timer_fired,
            Resume: self._resume,
            Unread: self._unread,
            ContextDue: self._context_due,
            JobGone: self._job_gone,
            JobOverdue: self._job_overdue,
            Begin: self._begin,
            Halt: self._halt,
        }

    def receive(self, message: Any) -> None:
        """Handle one message."""
        if self.ended:
            if isinstance(message, EventMessage):
                self._mail.keep(message)
            return
        self._work.begin_chain()
        self._handlers[type(message)](message)

    def abandon(self) -> None:
        """Let go of everything after a crash; rows that were not processed are delivered to the next actor."""
        self.ended = True
        self._cancel_run()
        self._visit.end()
        self._work.close()
        self._dependencies.gate.set()

    # Messages

    def _begin(self, _message: Begin) -> None:
        self._record(self._records.registered(self._state))
        if self._resumed is not None:
            self._go_on_from(self._resumed)
        else:
            move = step(self._definition, self._state, "start")
            self._take(move or enter(self._definition), "start" if move else None)
        self._take_in(self._mail.fetch())

    def _arrived(self, event: EventMessage) -> None:
        self._take_in(self._mail.accept(event, at_once=self._acts_at_once(event)))

    def _unread(self, _message: Unread) -> None:
        self._take_in(self._mail.overlooked())

    def _done(self, message: ActionsDone) -> None:
        run = message.run
        if run.services.cleared:
            self._mail.forget(run.services.cleared)
        if self._work.done(run):
            self._go_on()

    def _settle(self, run: ActionRun) -> None:
        if changed := self._context_publisher.look(self._context):
            self._record(*changed)
        if run.pause is not None:
            self._pause(run, run.pause)
            return
        self._work.over()
        for action, event in run.unhandled:
            self._note_unhandled(event, {"action": action})
        if self._final:
            self._end("failure" if run.failure is not None else self._outcome)
        elif self._draining and self._dependencies.job_holder.current is None:
            self._stop_here()
        elif run.failure is not None:
            self._try_again(run.actions, run.failure.message)
        elif run.event is not None:
            self._lead_on(run, run.event)
        else:
            self._park(run)
            self._error_if_unhandled(run)

    def _pause_over(self, message: PauseOver) -> None:
        if self._work.pause_over(message.run):
            self._go_on()

    def _wake(self, message: Woken) -> None:
        self._visit.wake(message)
        self._go_on()

    def _timer_fired(self, message: TimerFired) -> None:
        move = step(self._definition, self._state, message.event) if message.entry == self._visit.number else None
        if move is not None and not self._draining and not self._final:
            self._take(move, message.event)
            self._go_on()

    def _resume(self, message: Resume) -> None:
        self._visit.resume(message)
        self._go_on()

    def _context_due(self, _message: ContextDue) -> None:
        self._context_publisher.due()
        self._record(
            *self._context_publisher.look(dict(self._context))
        )  # a copy: actions may be at work on it, and for long

    def _job_gone(self, message: JobGone) -> None:
        if self._dependencies.job_holder.lose(message.job_id, message.attempt):
            self._go_on_without_job(message.job_id, message.reason)

    def _job_overdue(self, message: JobOverdue) -> None:
        try:
            reason = self._dependencies.job_holder.time_out(message.job_id, message.attempt)
        except StorageError as error:
            log.error("%s: job %s is over its time, which cannot be written: %s", self._name, message.job_id, error)
            self._dependencies.resources.timers.after(OVERDUE_AGAIN_S, lambda: self._tell(message))
            return
        if reason is not None:
            self._go_on_without_job(message.job_id, reason)

    def _halt(self, message: Halt) -> None:
        self._draining = True
        if not (self._work.keeps_context and message.drain):
            self._stop_here()

    # Events

    def _take_in(self, events: list[EventMessage]) -> None:
        """Handle each event now, or after the actions that run."""
        for event in events:
            if self.ended:
                self._mail.keep(event)
            elif (self._work.run is None and not self._mail) or self._acts_at_once(event):
                self._handle(event)
            else:
                self._mail.wait(event)
        self._go_on()

    def _acts_at_once(self, event: EventMessage) -> bool:
        return not (self._final or self._draining) and interrupts(self._definition, self._state, event.type)

    def _handle(self, event: EventMessage) -> None:
        move = step(self._definition, self._state, event.type)
        if move is None and self._visit.goes_on and self._mail.defer(event):
            return  # what the state does has not ended, only been put off: the next one may take the event
        admit(self._definition, self._context, event)
        if self._debugs:
            source = event.source or "outside"
            log.debug("%s: event %s from %s, in state %s", self._name, event.type, source, self._state)
        received = self._records.received(event)
        if move is not None:
            self._take(move, event.type, received, self._settled(event, "processed"))
            return
        self._record(received, self._settled(event, "ignored"), *self._context_publisher.look(self._context))
        self._note_unhandled(event.type, {"source": event.source})
        self._fail_unhandled(event.type)

    def _settled(self, event: EventMessage, status: str) -> Record:
        return self._records.settled(event, status)

    def _go_on(self) -> None:
        """Settle what has run; when nothing runs any more, re-run what was woken, then take the events that waited."""
        while not self.ended:
            if (run := self._work.take_finished()) is not None:
                self._settle(run)
            elif self._work.run is not None:
                return
            elif self._draining:
                self._stop_here()
            elif self._visit.due:
                self._visit.due.popleft()()
            elif self._visit.woken:
                self._run_again(self._visit.woken.pop())
            elif self._mail.deferred and not self._visit.goes_on:
                self._mail.recall()
            elif (event := self._mail.next()) is not None:
                self._handle(event)
            else:
                return

    # Moves

    def _take(self, move: Step, trigger: str | None, *records: Record) -> None:
        """Make a move: leave, enter, record, run the actions."""
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
        self._dependencies.resources.wait_board.notify("machine", (self._name,))
        self._start(move.actions)

    def _go_on_from(self, snapshot: Snapshot) -> None:
        """Enter the state again that the machine was in, with its context, its job and what its timers have left."""
        drop(self._context)
        if self._dependencies.job_holder.current is not None:
            hold(self._context, self._dependencies.job_holder.current)
        move, now_s = enter(self._definition, snapshot.state), self._dependencies.resources.db.clock.now()
        self._enter(move)
        for transition in move.timeouts:
            self._visit.arm(transition, delay_of(transition, self._definition.timers, snapshot, now_s))
        self._record(self._records.resumed(snapshot), self._records.state(self._state), *self._snapshot(settled=False))
        self._start(move.actions, settled=snapshot.settled)

    def _snapshot(self, *, settled: bool) -> tuple[Record, ...]:
        saved = self._checkpointer.snapshot(self._state, self._context, self._visit.deadlines, settled=settled)
        return saved + self._context_publisher.look(self._context)

    def _enter(self, move: Step) -> None:
        self._visit.end()
        self._visit = self._new_visit(self._visit.number + 1, move.actions)
        self._context["previous_state"] = self._state
        self._context["current_state"] = self._state = move.target
        self._outcome, self._final = move.outcome, move.outcome is not None
        machine_status = self._dependencies.status
        if machine_status.status == "failed":
            self._dependencies.report_status("running")
        machine_status.status = "running"
        machine_status.enter(move.target)

    def _new_visit(self, number: int, actions: tuple[ActionSpec, ...]) -> StateVisit:
        return StateVisit(number, actions, self._name, self._dependencies.resources, self._tell)

    def _lead_on(self, run: ActionRun, event: str) -> None:
        """Take the transition that an action's event has, not sooner than PACE_S after entry where it could spin."""
        move = step(self._definition, self._state, event)
        if move is None:
            return
        if move.internal:
            self._park(run)  # the state goes on, and with it what repeats or watches in it
        wait_s = PACE_S - self._visit.lasted_s if move.reentered or run.empty else 0.0
        if wait_s > 0:
            self._visit.put_off(wait_s, lambda: self._take(move, event))
        else:
            self._take(move, event)

    # Runs

    def _start(
        self, actions: tuple[ActionSpec, ...], *, start: int = 0, again: bool = False, settled: bool = False
    ) -> None:
        if not actions:
            if self._final:
                self._end(self._outcome)
            return
        services = self._dependencies.services()
        run = ActionRun(
            self._visit.number, self._state, actions, self._context, services, start, again, settled, self._final
        )
        self._work.perform(run)

    def _pause(self, run: ActionRun, pause: Pause) -> None:
        """An action of the run failed and is to be tried again."""
        if self._draining:
            self._stop_here()
            return
        log.warning("%s: %s in state %s: %s", self._name, pause.action, self._state, pause)
        job = self._dependencies.job_holder.current
        self._record(self._records.retrying(self._state, pause, None if job is None else job.job_id))
        self._work.wait(run, pause.delay_s)

    def _run_again(self, action: int) -> None:
        if self._visit.unpark(action):
            self._start(self._visit.actions, start=action, again=True)

    def _cancel_run(self) -> None:
        """Throw the running actions away, which keep the old context."""
        if self._work.throw_away():
            self._dependencies.job_holder.note_cut_off()
            self._context = self._status.context = dict(self._context)

    def _park(self, run: ActionRun) -> None:
        if run.actions is not self._visit.actions:
            return  # an internal transition's actions are not the state's: there is nothing to come back to
        self._visit.tries = 0
        if snapshot := self._snapshot(settled=True):
            self._record(*snapshot)
        for parked in run.parked:
            self._visit.park(parked)

    # Failures

    def _go_on_without_job(self, job_id: str, reason: str) -> None:
        """Its job was taken from it: what runs is cut off, and the machine goes on as after a failed action."""
        log.warning("%s: %s", self._name, reason)
        run = self._work.run
        self._cancel_run()
        self._context["last_error"], self._context["last_error_action"] = reason, None
        self._record(self._records.note("error", {"error_message": reason, "action": None, "job_id": job_id}))
        if self._final:
            self._end("failure")
        elif not self._draining:
            self._fail_over(run, reason)
        self._go_on()

    def _fail_over(self, run: ActionRun | None, reason: str) -> None:
        """Take the transition that the action's error has, or try the actions again, but not with that job's keys."""
        for event in ("error",) if run is None else error_events(run.action):
            if (move := step(self._definition, self._state, event)) is not None:
                self._take(move, event)
                return
        drop(self._context)
        actions = self._visit.actions if run is None else run.actions
        if not actions:
            self._mark_failed(reason)
        elif not self._visit.goes_on:
            self._try_again(actions, reason)

    def _try_again(self, actions: tuple[ActionSpec, ...], reason: str) -> None:
        """Nothing takes the error event: the actions are tried again, more slowly each time."""
        policy, visit = self._definition.on_error, self._visit
        visit.tries += 1
        if visit.tries > policy.tries:
            self._mark_failed(reason)
            return
        delay_s = policy.delay_before(visit.tries)
        where = f"no transition takes its event in state {self._state}"
        log.warning("%s: %s; %s: try %d of %d in %g s", self._name, reason, where, visit.tries, policy.tries, delay_s)
        visit.put_off(delay_s, lambda: self._start(actions))

    def _mark_failed(self, message: str) -> None:
        """Stay where it is, keep answering events, and show it."""
        log.error("%s: failed in state %s: %s", self._name, self._state, message)
        machine_status = self._dependencies.status
        machine_status.status, machine_status.last_error = "failed", message
        self._settle_jobs(lambda job_holder: job_holder.settle(failure=message))
        self._dependencies.report_status("failed")
        self._record(self._records.failed(self._state, message), self._records.state(self._state))

    def _error_if_unhandled(self, run: ActionRun) -> None:
        if run.unhandled:
            self._fail_unhandled(run.unhandled[0][1])

    def _fail_unhandled(self, event: str) -> None:
        """`on_unhandled: error`: an event that no transition takes is an error of the machine."""
        if self._definition.on_unhandled != "error" or self.ended:
            return
        message = f"no transition takes event {event} in state {self._state}"
        self._context["last_error"], self._context["last_error_action"] = message, None
        move = step(self._definition, self._state, "error")
        if move is not None:
            self._take(move, "error")
        else:
            self._mark_failed(message)

    def _note_unhandled(self, event: str, more: Mapping[str, Any]) -> None:
        self._dependencies.status.unhandled += 1
        log.info("%s: no transition takes event %s in state %s", self._name, event, self._state)
        self._record(self._records.unhandled(event, self._state, more))

    # The end

    def _end(self, outcome: Outcome | None) -> None:
        """A final state's actions have run."""
        error = self._context.get("last_error")
        self._settle_jobs(
            lambda job_holder: job_holder.settle(failure=str(error or "failed") if outcome == "failure" else None)
        )
        self._finish(outcome)

    def _stop_here(self) -> None:
        """Stopped from outside: the job goes back to the queue, waiting events stay in the mailbox."""
        self._cancel_run()
        self._settle_jobs(lambda job_holder: job_holder.give_back())
        self._finish(None)

    def _settle_jobs(self, settle: Callable[[Any], None]) -> None:
        try:
            settle(self._dependencies.job_holder)
        except StorageError as error:
            log.error("%s: cannot settle its job: %s", self._name, error)

    def _finish(self, outcome: Outcome | None) -> None:
        self.ended = True
        self._visit.end()
        self._mail.keep_all()
        self._work.close()
        self._record(
            self._records.terminated(self._state, outcome),
            *(self._checkpointer.end() if outcome is not None else ()),
            *self._context_publisher.last_look(self._context),
        )
        self._dependencies.gate.set()
        self._dependencies.ended(outcome)
        self._stop()
