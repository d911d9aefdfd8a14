"""Blocks on workers: any executor will do, and a worker that dies loses only what it was at."""

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from snn_deploy.deploy.data import Data
from snn_deploy.deploy.datasets.opening import reopened
from snn_deploy.deploy.datasets.source import Request
from snn_deploy.deploy.deployment import Deployment, read_deployment
from snn_deploy.deploy.evaluating_block import Found, Question, run_block
from snn_deploy.deploy.memory import memory_short
from snn_deploy.errors import ArtifactDamagedError, DeployError, WorkersLostError

ATTEMPTS = 3
"""How often in a row workers may be lost without any block being done meanwhile, before blocks are
run one at a time; and how often the worker of each of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Where blocks are run."""

    make: Callable[[], AbstractContextManager[Executor]]
    """Makes an executor, and another one when that broke."""

    in_flight: int
    """How many blocks are submitted at once, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A deployment for other processes: where it lies, or, where it lies nowhere, itself."""

    digest: str
    folder: Path | None
    pickled: bytes | None

    @classmethod
    def of(cls, deployment: Deployment) -> "Model":
        """Return a deployment as it is sent to workers."""
        digest, folder = deployment.program.digest, deployment.folder
        if folder is not None and folder.is_dir():
            return cls(digest=digest, folder=folder.resolve(), pickled=None)
        pickled = pickle.dumps(replace(deployment))  # without what it has computed and kept
        return cls(digest=sha256(pickled).hexdigest(), folder=None, pickled=pickled)


@lru_cache(maxsize=2)
def _folder(folder: Path, digest: str) -> Deployment:
    deployment = read_deployment(folder)
    if deployment.program.digest != digest:
        raise ArtifactDamagedError(
            "the artifact was replaced while it was evaluated", where=str(folder)
        )
    return deployment


@dataclass(slots=True)
class _Kept:
    """The last deployment that was sent as itself."""

    digest: str = ""
    deployment: Deployment | None = None


_KEPT = _Kept()


def _deployment(model: Model) -> Deployment:
    if model.folder is not None:
        return _folder(model.folder, model.digest)
    if _KEPT.deployment is None or _KEPT.digest != model.digest:
        assert model.pickled is not None
        made = pickle.loads(model.pickled)  # noqa: S301 - our own process pickled it
        assert isinstance(made, Deployment)
        _KEPT.digest, _KEPT.deployment = model.digest, made
        return made
    return _KEPT.deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A block as a worker gets it."""

    model: Model
    question: Question
    block: int
    start: int
    stop: int
    """Samples of the data set."""

    data: Request | Data
    """Where the worker reads them, or they themselves."""

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bug:
    """What went wrong in a worker and is no error of the user's."""

    trace: str


Landing = Future[Found | DeployError | _Bug]


class WorkerBugError(RuntimeError):
    """A bug of ours that showed in a worker; the text is its traceback there."""


def run_task(task: Task) -> Found | DeployError | _Bug:
    """Return what a block shows, or what went wrong; whatever this raises is the worker's death."""
    try:
        data = task.data
        if isinstance(data, Request):
            data = reopened(data).read(task.start, task.stop)
        return run_block(_deployment(task.model), task.question, task.block, data)
    except DeployError as problem:
        return problem
    except Exception as problem:  # it is raised again in the main process
        return memory_short(problem) or _Bug(trace=traceback.format_exc())


class _Processes(ProcessPoolExecutor):
    """Processes that never see an interrupt, not even while they start: the main one ends them."""

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # processes inherit it
        try:
            return super().submit(function, *arguments, **named)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def processes(workers: int) -> ProcessPoolExecutor:
    """Return an executor with so many processes, which end when this one does.

    They are started anew, not forked: a fork in the midst of threads may never wake.
    """
    return _Processes(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_follow_parent
    )


def _follow_parent() -> None:
    """End this process when the one that started it is gone: executors do not see to that."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def run_tasks(tasks: Iterable[Task], pool: Pool) -> Iterator[Found]:
    """Yield what each block shows, in the order in which they get done.

    Blocks whose worker died are submitted again, after all others; where that does not help, one
    at a time, so that those stay whose worker always dies. Before an error is raised, all that is
    under way is waited for and yielded.

    Args:
        tasks: The blocks; each is taken when it can be submitted.
        pool: Runs them.

    Raises:
        WorkersLostError: the workers of some blocks died again and again.
        DeployError: what a block raised.
    """
    waiting, again = iter(tasks), deque[Task]()
    lost, alone = 0, False
    while True:
        with pool.make() as executor:
            flight = _Flight(executor)
            try:
                while flight.fill(waiting, again, 1 if alone else pool.in_flight, alone=alone):
                    for found in flight.landed(again):
                        lost = 0
                        yield found
                    if flight.error is not None:
                        yield from flight.rest(again)
                        raise flight.error
                    alone = alone and bool(again or flight.tasks)
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


class _Flight:
    """The blocks that an executor has."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.tasks: dict[Landing, Task] = {}
        self.error: Exception | None = None
        """What a block raised."""

        self.failure: Exception | None = None
        """Why a worker was lost in the last round; None: none was."""

        self.broken = False
        """Whether the executor takes no further blocks."""

    def fill(self, waiting: Iterator[Task], again: deque[Task], most: int, *, alone: bool) -> bool:
        """Submit blocks until `most` are under way; return whether there is any to wait for.

        Args:
            waiting: Blocks that were not submitted yet.
            again: Blocks whose worker was lost; they come last, or, when they are run `alone`,
                before all others.
            most: Blocks under way.
            alone: Whether lost blocks are run one at a time.
        """
        self.failure = None
        while len(self.tasks) < most:
            task = again.popleft() if alone and again else next(waiting, None)
            if task is None and again:
                task = again.popleft()
            if task is None:
                break
            try:
                self.tasks[self.executor.submit(run_task, task)] = task
            except BrokenExecutor as problem:
                again.appendleft(task)
                self.failure, self.broken = problem, True
                return True
        return bool(self.tasks)

    def landed(self, again: deque[Task]) -> Iterator[Found]:
        """Wait for a block at least; yield what is found, and put back what is lost."""
        if self.failure is None:
            yield from self._taken(wait(self.tasks, return_when=FIRST_COMPLETED).done, again)

    def rest(self, again: deque[Task]) -> Iterator[Found]:
        """Give up what is not begun, and wait for all that is."""
        again.extend(self.cancel())
        yield from self._taken(wait(self.tasks).done, again)

    def _taken(self, done: set[Landing], again: deque[Task]) -> Iterator[Found]:
        for future in sorted(done, key=lambda one: self.tasks[one].block):
            task = self.tasks.pop(future)
            try:
                found = future.result()
            except Exception as problem:  # of the executor: run_task itself raises none
                again.append(task)
                self.failure = problem
                self.broken = self.broken or isinstance(problem, BrokenExecutor)
                continue
            if isinstance(found, Found):
                yield found
            else:
                self.error = (
                    found if isinstance(found, DeployError) else WorkerBugError(found.trace)
                )

    def cancel(self) -> list[Task]:
        """Give up what is not begun, and return it."""
        given_up = [future for future in self.tasks if future.cancel()]
        return [self.tasks.pop(future) for future in given_up]


def _lost(again: deque[Task], failure: Exception | None) -> WorkersLostError:
    blocks = sorted(again, key=lambda task: task.block)
    ranges = ", ".join(f"{task.start} to {task.stop - 1}" for task in blocks[:4])
    return WorkersLostError(
        f"the worker of every block that is left was lost {ATTEMPTS} times: "
        f"{type(failure).__name__}: {failure}",
        where=f"samples {ranges}{', ...' if len(blocks) > 4 else ''}",
        fix="smaller blocks need less memory: --block N; fewer workers too. A script that asks for "
        'workers does so under `if __name__ == "__main__":`; in place of an executor give a '
        "function that makes one",
    )
