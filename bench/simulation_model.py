"""The scheduling of ``inbound`` as a discrete-event model: accounts, beat, checks, polls, workers, queues.

Limits and delays are the product's own constants; what a step costs comes from :class:`Costs`, measured by
``bench.unit_costs``. The policies the model repeats – which accounts a check takes, in which order – are
compared with the product's by tests. Time is in seconds.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from config.celery import app
from inbound import checking, polling
from mailaccounts import health

CHECK_EVERY = float(app.conf.beat_schedule["check-accounts"]["schedule"])
CHECK_FAILING_EVERY = float(app.conf.beat_schedule["check-failing-accounts"]["schedule"])
POLL_WAITS = checking.CLAIM.total_seconds()
CONTINUED_WITHIN = polling.CONTINUED_WITHIN.total_seconds()
QUEUES: tuple[str, ...] = tuple(queue.name for queue in app.conf.task_queues)
PERSON, CHECKS, POLLS, BACKLOG = QUEUES


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of work on one core, the database's included; network waiting is the account's own."""

    check: float
    """A check that finds nothing due."""
    ask: float
    """Asking one account in a check: claim, TLS, login, STATUS, leaving, recording the answer."""
    poll: float
    """A poll without news: lease, settings, login, EXAMINE, health."""
    mail: float
    """One mail from the server to its ticket."""
    delivery: float
    """Sending one mail."""


@dataclass(slots=True)
class Account:
    """One mailbox: how its server answers, and what has arrived and is not imported.

    ``answers_after`` is the server's whole answering time; an account that ``is_dead`` lets it time out.
    """

    number: int
    kind: str = "healthy"
    period: float = 60.0
    answers_after: float = 0.25
    is_dead: bool = False
    next_poll_at: float = 0.0
    failures: int = 0
    last_attempt_at: float = -1.0
    waiting: deque[float] = field(default_factory=deque)
    is_leased: bool = False
    is_left_over: bool = False
    imported: list[tuple[float, float]] = field(default_factory=list)
    """Arrival, and the moment of the ticket."""

    def late_lags(self, since: float) -> list[float]:
        """How long each mail took that arrived after ``since``."""
        return [done - arrived for arrived, done in self.imported if arrived > since]


Done = Callable[[], None]


@dataclass(slots=True)
class Task:
    """What a worker runs; ``run`` gets what is to be called when the worker is free again."""

    run: Callable[[Done], None]
    queue: str
    sent_at: float
    expires_at: float


@dataclass(slots=True)
class Usage:
    """What the workers did: seconds occupied and seconds computing; how long each task of a person waited."""

    occupied: float = 0.0
    computing: float = 0.0
    person_waits: list[float] = field(default_factory=list)


class World:
    """Accounts, a broker and ``workers`` processes with a core each; ``seed`` alone decides what happens.

    ``timeout`` is what the product waits for a silent server, MAIL_TIMEOUT_SECONDS.
    """

    def __init__(
        self,
        accounts: Sequence[Account],
        costs: Costs,
        *,
        workers: int,
        timeout: float = 30.0,
        seed: int = 1,
    ) -> None:
        self.accounts, self.costs, self.timeout = accounts, costs, timeout
        self.usage = Usage()
        self.now = 0.0
        self._free = workers
        self._is_checking_failing = False
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._queues: dict[str, deque[Task]] = {name: deque() for name in QUEUES}
        self._due: dict[bool, list[tuple[float, int]]] = {False: [], True: []}
        self._random = random.Random(seed)  # noqa: S311  # a simulation
        random.seed(seed)  # the product's own backoff draws from there
        self.schedule(self._random.uniform(0, account.period) for account in accounts)

    def schedule(self, moments: Iterable[float]) -> None:
        """Let each account be due at its moment."""
        for account, moment in zip(self.accounts, moments, strict=True):
            self._next_poll(account, moment)

    def run(self, seconds: float) -> Usage:
        """Let ``seconds`` pass."""
        self._every(CHECK_EVERY, lambda: self._send_check(failing=False))
        self._every(CHECK_FAILING_EVERY, lambda: self._send_check(failing=True))
        while self._events and self._events[0][0] <= seconds:
            self.now, _, action = heapq.heappop(self._events)
            action()
        self.now = seconds
        return self.usage

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Do ``action`` at ``moment``."""
        heapq.heappush(self._events, (moment, next(self._order), action))

    def arrive(self, account: Account, moments: Iterable[float]) -> None:
        """Let mail arrive in the account's mailbox."""
        for moment in moments:
            self.at(moment, partial(account.waiting.append, moment))

    def arrive_randomly(self, account: Account, a_second: float, until: float) -> None:
        """Let mail arrive at random moments, so many ``a_second`` on average."""
        moment = self._random.expovariate(a_second)
        while moment < until:
            self.arrive(account, [moment])
            moment += self._random.expovariate(a_second)

    def deliver_randomly(self, a_second: float, until: float) -> None:
        """Let people send mail at random moments: what counts is how long it waits for a worker."""
        moment = self._random.expovariate(a_second)
        while moment < until:
            self.at(moment, lambda: self._send(PERSON, self._deliver))
            moment += self._random.expovariate(a_second)

    def _every(self, seconds: float, action: Callable[[], None]) -> None:
        def tick() -> None:
            action()
            self.at(self.now + seconds, tick)

        self.at(self.now, tick)

    # --- broker and workers

    def _send(self, queue: str, run: Callable[[Done], None], *, expires: float = float("inf")) -> None:
        self._queues[queue].append(Task(run, queue, self.now, self.now + expires))
        self._hand_out()

    def _hand_out(self) -> None:
        while self._free and (task := self._next_task()):
            if task.queue == PERSON:
                self.usage.person_waits.append(self.now - task.sent_at)
            self._free -= 1
            task.run(partial(self._end_task, self.now))

    def _next_task(self) -> Task | None:
        for name in QUEUES:
            while self._queues[name]:
                task = self._queues[name].popleft()
                if task.expires_at >= self.now:
                    return task
        return None

    def _end_task(self, began_at: float) -> None:
        self.usage.occupied += self.now - began_at
        self._free += 1
        self._hand_out()

    def _deliver(self, done: Done) -> None:
        self.usage.computing += self.costs.delivery
        self.at(self.now + self.costs.delivery, done)

    # --- inbound.tasks.check_accounts, inbound.checking

    def _send_check(self, *, failing: bool) -> None:
        every = CHECK_FAILING_EVERY if failing else CHECK_EVERY
        self._send(CHECKS, lambda done: self._check(done, failing=failing), expires=every)

    def _check(self, done: Done, *, failing: bool) -> None:
        if failing and self._is_checking_failing:
            self.at(self.now + self.costs.check, done)
            return
        self._is_checking_failing |= failing
        Check(self, done, failing=failing).go_on()

    def end_check(self, done: Done, *, failing: bool) -> None:
        """Free the worker, and the one place there is for checking failing accounts."""
        self._is_checking_failing &= not failing
        done()

    def claim(self, limit: int, *, failing: bool) -> list[Account]:
        """The accounts a check takes, in the order in which it asks them: ``checking._claim``."""
        due = self._due[failing]
        claimed: list[Account] = []
        while due and due[0][0] <= self.now and len(claimed) < limit:
            moment, number = heapq.heappop(due)
            account = self.accounts[number]
            if account.next_poll_at == moment:  # else it has been given another moment since
                claimed.append(account)
        for account in claimed:
            self._next_poll(account, self.now + POLL_WAITS)
        return sorted(claimed, key=lambda account: account.last_attempt_at)

    def _next_poll(self, account: Account, moment: float) -> None:
        account.next_poll_at = moment
        heapq.heappush(self._due[account.failures > 0], (moment, account.number))

    def settle(self, account: Account) -> None:
        account.last_attempt_at = self.now
        if account.is_dead:
            self._fail(account)
        elif account.waiting:
            self.wake(BACKLOG if account.is_left_over else POLLS, account, self.now)
        else:
            self._succeed(account, account.period)

    def _fail(self, account: Account) -> None:
        account.failures += 1
        self._next_poll(account, self.now + health.backoff(account.failures).total_seconds())

    def _succeed(self, account: Account, pause: float) -> None:
        account.failures = 0
        self._next_poll(account, self.now + pause)

    # --- inbound.tasks.poll_account, inbound.polling

    def wake(self, queue: str, account: Account, moment: float) -> None:
        self.at(moment, lambda: self._send(queue, partial(self._poll, account), expires=POLL_WAITS))

    def _poll(self, account: Account, done: Done) -> None:
        now = self.now
        if account.is_leased:
            self.at(now + self.costs.check, done)
            return
        account.is_leased = True
        if account.is_dead:
            self.at(now + self.timeout, lambda: self._end_poll(account, done))
            return
        opened = now + self.costs.poll + account.answers_after
        room = max(1, int((polling.SLICE_SECONDS - (opened - now)) / self.costs.mail))
        taken = min(room, len(account.waiting))
        for position in range(1, taken + 1):
            account.imported.append((account.waiting.popleft(), opened + position * self.costs.mail))
        ends_at = opened + taken * self.costs.mail
        self.usage.computing += self.costs.poll + taken * self.costs.mail
        account.is_left_over = bool(account.waiting)
        self.at(ends_at, lambda: self._end_poll(account, done))

    def _end_poll(self, account: Account, done: Done) -> None:
        account.is_leased = False
        account.last_attempt_at = self.now
        if account.is_dead:
            self._fail(account)
        elif account.is_left_over:
            self._succeed(account, CONTINUED_WITHIN)
            self.wake(BACKLOG, account, self.now)
        else:
            self._succeed(account, account.period)
        done()


class Check:
    """One run of ``checking.check_due``: goes on taking due accounts while its threads wait for answers."""

    def __init__(self, world: World, done: Done, *, failing: bool) -> None:
        self._world, self._done, self._failing = world, done, failing
        self._ends_at = world.now + checking.SLICE_SECONDS
        self._asked = 0
        self._computed = self._looks_at = world.now
        self._more_are_due = False
        self._is_over = False

    def go_on(self) -> None:
        """Take what is due and ask it, as far as there are free threads; end when all have answered."""
        if self._is_over:
            return
        world = self._world
        free = checking.THREADS - self._asked
        has_room = free >= checking.THREADS // 2
        is_time = world.now >= self._looks_at or (self._more_are_due and has_room)
        if world.now < self._ends_at and is_time and free > 0:
            room = free + checking.THREADS if has_room else free
            claimed = world.claim(room, failing=self._failing)
            self._more_are_due = len(claimed) == room
            self._looks_at = world.now + checking.LOOK_AGAIN_SECONDS
            self._ask(claimed)
            world.at(self._looks_at, self.go_on)
        if not self._asked:
            self._is_over = True
            world.at(
                max(self._computed, world.now), partial(world.end_check, self._done, failing=self._failing)
            )

    def _ask(self, accounts: Sequence[Account]) -> None:
        world, costs = self._world, self._world.costs
        self._compute(costs.check)
        for account in accounts:
            if account.is_left_over and not self._failing:
                world.wake(BACKLOG, account, self._computed)
                continue
            self._asked += 1
            self._compute(costs.ask)
            wait = world.timeout if account.is_dead else account.answers_after
            world.at(self._computed + wait, partial(self._answered, account))

    def _answered(self, account: Account) -> None:
        self._asked -= 1
        self._world.settle(account)
        self.go_on()

    def _compute(self, seconds: float) -> None:
        self._computed = max(self._computed, self._world.now) + seconds
        self._world.usage.computing += seconds


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all values do not exceed (nearest rank); 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
