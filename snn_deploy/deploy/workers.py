"""Jobs on workers: any executor will do, and a worker that dies loses only what it was at."""

import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from snn_deploy.deploy.memory import memory_short
from snn_deploy.deploy.pools import ASKED_EVERY, Crew, Pool
from snn_deploy.errors import DeployError, WorkersLostError

ATTEMPTS = 3
"""How often in a row workers may be lost without any job being done meanwhile, before jobs are
run one at a time; and how often the worker of each of these."""

Result = TypeVar("Result")


class Job(ABC, Generic[Result]):
    """Something that a worker does; sent to it pickled."""

    __slots__ = ()

    called: ClassVar[str]
    """What such a job is called in errors: block."""

    places: ClassVar[str]
    """What it is about: samples."""

    advice: ClassVar[str]
    """What helps where workers die of it."""

    @property
    @abstractmethod
    def number(self) -> int:
        """Its place in the order of all jobs."""

    @property
    @abstractmethod
    def place(self) -> str:
        """What it is about, in a few words."""

    @abstractmethod
    def run(self) -> Result:
        """Do it.

        Raises:
            DeployError: it ends all jobs.
        """


@dataclass(frozen=True, slots=True)
class Done(Generic[Result]):
    """What a job gave."""

    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """What went wrong in a worker and is no error of the user's."""

    trace: str


class WorkerBugError(RuntimeError):
    """A bug of ours that showed in a worker; the text is its traceback there."""


def run_job(job: Job[Result]) -> Done[Result] | DeployError | Bug:
    """Return what a job gives, or what went wrong; whatever this raises is the worker's death."""
    try:
        return Done(job.run())
    except DeployError as problem:
        return problem
    except Exception as problem:  # it is raised again in the main process
        return memory_short(problem, job.advice) or Bug(trace=traceback.format_exc())


def run_jobs(jobs: Iterable[Job[Result]], crew: Crew) -> Iterator[Result]:
    """Yield what each job gives, in the order in which they get done.

    Jobs whose worker died are submitted again, after all others; where that does not help, one
    at a time, so that those stay whose worker always dies. Before an error of a job is raised, all
    that is under way is waited for and yielded.

    Args:
        jobs: Each is taken when it can be submitted.
        crew: Runs them.

    Raises:
        WorkersLostError: the workers of some jobs died again and again, or none is left.
        DeployError: what a job raised.
    """
    waiting, again = iter(jobs), deque[Job[Result]]()
    lost, alone = 0, False
    while True:
        flight: _Flight[Result] = _Flight(crew.executor, crew.pool)
        try:
            while flight.fill(waiting, again, 1 if alone else crew.pool.in_flight, alone=alone):
                for result in flight.landed(again):
                    lost = 0
                    yield result
                if flight.error is not None:
                    yield from flight.rest(again)
                    raise flight.error
                alone = alone and bool(again or flight.jobs)
                lost += flight.failure is not None
                if lost >= ATTEMPTS and not alone:
                    yield from flight.rest(again)
                    lost, alone = 0, True
                if lost >= ATTEMPTS * max(1, len(again)):
                    raise _lost(again, flight.failure)
                if flight.broken:
                    yield from flight.rest(again)
                    break
            else:
                return
        finally:
            flight.cancel()
        crew.renew()


class _Flight(Generic[Result]):
    """The jobs that an executor has."""

    def __init__(self, executor: Executor, pool: Pool) -> None:
        self.executor, self.pool = executor, pool
        self.jobs: dict[Future[Done[Result] | DeployError | Bug], Job[Result]] = {}
        self.error: Exception | None = None
        """What a job raised, or that nobody is left."""

        self.failure: Exception | None = None
        """Why a worker was lost in the last round; None: none was."""

        self.broken = False
        """Whether the executor takes no further jobs."""

    def fill(
        self, waiting: Iterator[Job[Result]], again: deque[Job[Result]], most: int, *, alone: bool
    ) -> bool:
        """Submit jobs until `most` are under way; return whether there is any to wait for.

        Args:
            waiting: Jobs that were not submitted yet.
            again: Jobs whose worker was lost; they come last, or, when they are run `alone`,
                before all others.
            most: Jobs under way.
            alone: Whether lost jobs are run one at a time.
        """
        self.failure = None
        while len(self.jobs) < most:
            job = again.popleft() if alone and again else next(waiting, None)
            if job is None and again:
                job = again.popleft()
            if job is None:
                break
            try:
                self.jobs[self.executor.submit(run_job, job)] = job
            except BrokenExecutor as problem:
                again.appendleft(job)
                self.failure, self.broken = problem, True
                return True
        return bool(self.jobs)

    def landed(self, again: deque[Job[Result]]) -> Iterator[Result]:
        """Wait for a job at least; yield what is found, and put back what is lost."""
        if self.failure is None:
            yield from self._taken(self._waited(1), again)

    def rest(self, again: deque[Job[Result]]) -> Iterator[Result]:
        """Give up what is not begun, and wait for all that is."""
        again.extend(self.cancel())
        yield from self._taken(self._waited(len(self.jobs)), again)

    def _waited(self, least: int) -> set[Future[Done[Result] | DeployError | Bug]]:
        """Return the jobs that are done, once so many are, or nobody is left to do more."""
        done = {future for future in self.jobs if future.done()}
        while len(done) < least:
            flying = self.jobs.keys() - done
            done |= wait(flying, timeout=ASKED_EVERY, return_when=FIRST_COMPLETED).done
            try:
                self.pool.check()
            except WorkersLostError as problem:
                self.error = problem
                break
        return done

    def _taken(
        self, done: set[Future[Done[Result] | DeployError | Bug]], again: deque[Job[Result]]
    ) -> Iterator[Result]:
        for future in sorted(done, key=lambda one: self.jobs[one].number):
            job = self.jobs.pop(future)
            try:
                found = future.result()
            except Exception as problem:  # of the executor: run_job itself raises none
                again.append(job)
                self.failure = problem
                self.broken = self.broken or isinstance(problem, BrokenExecutor)
                continue
            if isinstance(found, Done):
                yield found.result
            else:
                self.error = (
                    found if isinstance(found, DeployError) else WorkerBugError(found.trace)
                )

    def cancel(self) -> list[Job[Result]]:
        """Give up what is not begun, and return it."""
        given_up = [future for future in self.jobs if future.cancel()]
        return [self.jobs.pop(future) for future in given_up]


def _lost(again: deque[Job[Result]], failure: Exception | None) -> WorkersLostError:
    jobs = sorted(again, key=lambda job: job.number)
    places = ", ".join(job.place for job in jobs[:4])
    return WorkersLostError(
        f"the worker of every {jobs[0].called} that is left was lost {ATTEMPTS} times: "
        f"{type(failure).__name__}: {failure}",
        where=f"{jobs[0].places} {places}{', ...' if len(jobs) > 4 else ''}",
        fix=f"{jobs[0].advice}. A script that asks for "
        'workers does so under `if __name__ == "__main__":`; in place of an executor give a '
        "function that makes one",
    )
