"""Where work is spread: processes of this machine, a Dask cluster, any other executor."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from snn_deploy.errors import MissingLibraryError, OptionError, WorkersLostError

CONNECT = "10s"
"""How long a Dask scheduler may take to answer."""

ASKED_EVERY = 1.0
"""How often a cluster is asked whether it still has workers [s]."""

PATIENCE = 60.0
"""How long a cluster may be without any worker [s]: one that is started again takes its time."""

MakesExecutor = Executor | Callable[[], AbstractContextManager[Executor]]


def always() -> None:
    """See to nothing: such an executor says itself when its workers are lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Where jobs are run."""

    make: Callable[[], AbstractContextManager[Executor]]
    """Makes an executor, and another one when that broke."""

    in_flight: int
    """How many jobs are submitted at once, at most."""

    check: Callable[[], None] = always
    """Called again and again while jobs are waited for.

    Raises:
        WorkersLostError: nobody is left to do them.
    """


class Crew:
    """An executor of a pool, and another one when that broke; ends it when it is left.

    Args:
        pool: Makes them.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._stack = ExitStack()
        self.executor = self._stack.enter_context(pool.make())

    def renew(self) -> None:
        """Replace the executor."""
        self._stack.close()
        self.executor = self._stack.enter_context(self.pool.make())

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *problem: object) -> None:
        self._stack.close()


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


def check_place(workers: int | None, dask: str | None, executor: MakesExecutor | None) -> None:
    """Check what `pool_of` will be asked for.

    Raises:
        OptionError: more than one place, or a number of processes below 1.
    """
    given = [
        name
        for name, value in (("--workers", workers), ("--dask", dask), ("executor", executor))
        if value is not None
    ]
    if len(given) > 1:
        raise OptionError(
            "blocks are run in one place", where=", ".join(given), fix="give one of them"
        )
    if workers is not None and workers < 1:
        raise OptionError(f"{workers} workers", where="--workers", fix="--workers 2")


@contextmanager
def pool_of(
    workers: int | None, dask: str | None, executor: MakesExecutor | None
) -> Iterator[Pool | None]:
    """Open what jobs are run on; None: this process. `check_place` has found nothing wrong.

    Args:
        workers: Number of processes.
        dask: Address of a Dask scheduler.
        executor: Any executor, or a function that makes one.

    Raises:
        OptionError: the scheduler does not answer.
        MissingLibraryError: Dask is not installed.
    """
    if dask is not None:
        with _dask(dask) as pool:
            yield pool
    elif executor is not None:
        yield Pool(make=_makes(executor), in_flight=2 * (os.cpu_count() or 1))
    elif workers is not None and workers > 1:
        yield Pool(make=lambda: processes(workers), in_flight=2 * workers)
    else:
        yield None


def _makes(executor: MakesExecutor) -> Callable[[], AbstractContextManager[Executor]]:
    if isinstance(executor, Executor):
        return lambda: nullcontext(executor)
    return executor


@contextmanager
def _dask(address: str) -> Iterator[Pool]:
    try:
        from distributed import Client  # noqa: PLC0415 - the extra `dask`
    except ImportError:
        raise MissingLibraryError(
            "Dask is not installed", where="--dask", fix="pip install 'snn-deploy[dask]'"
        ) from None
    try:
        client: Any = Client(address, set_as_default=False, timeout=CONNECT)
    except (OSError, ValueError, TimeoutError) as problem:
        raise OptionError(
            f"the Dask scheduler does not answer: {problem}",
            where=f"--dask {address}",
            fix="give the address that `dask scheduler` prints, such as tcp://host:8786",
        ) from problem
    with client:
        cluster = _Cluster(client, address)
        threads = sum(client.nthreads().values())
        yield Pool(
            make=lambda: nullcontext(client.get_executor()),
            in_flight=max(2, 2 * threads),
            check=cluster.check,
        )


class _Cluster:
    """Sees whether a Dask cluster still has workers; Dask itself waits for new ones forever.

    Args:
        client: Of its scheduler.
        address: Of its scheduler.
    """

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address
        self._seen = self._asked = time.monotonic()

    def check(self) -> None:
        """Ask the scheduler, now and then.

        Raises:
            WorkersLostError: it is gone, or has been without workers for `PATIENCE`.
        """
        now = time.monotonic()
        if now < self._asked + ASKED_EVERY:
            return
        self._asked = now
        try:
            workers = self._client.nthreads()
        except (OSError, TimeoutError) as problem:
            raise self._lost(f"the Dask scheduler is gone: {problem}") from problem
        if workers:
            self._seen = now
        elif now > self._seen + PATIENCE:
            raise self._lost("no worker of the Dask cluster is left")

    def _lost(self, message: str) -> WorkersLostError:
        return WorkersLostError(
            message,
            where=f"--dask {self._address}",
            fix="start workers (dask worker ADDRESS) and give the same command again; with "
            "--journal, evaluate goes on where it was, as tune always does",
        )


def threads_of(workers: int | None, *, elsewhere: bool) -> int | None:
    """Return how many threads a simulator has, so that workers share the processors.

    Args:
        workers: Number of processes on this machine.
        elsewhere: Jobs run on an executor that we know nothing of.
    """
    if elsewhere:
        return 1
    return None if workers is None else max(1, (os.cpu_count() or 1) // workers)
