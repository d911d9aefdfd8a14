"""Settings measured one after the other, or by the workers of any executor."""

from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, as_completed
from contextlib import ExitStack

from snn_deploy.deploy.evaluating_workers import ATTEMPTS, Pool
from snn_deploy.deploy.tuning.measuring import Bench, Measured, Task, packed, run_task
from snn_deploy.deploy.tuning.setting import Setting
from snn_deploy.errors import DeployError, WorkersLostError

Numbered = tuple[int, Setting]


class Workers:
    """Measures settings with a bench; a context manager that ends what it started.

    Args:
        bench: What they are measured with.
        pool: Where; None: here.
    """

    def __init__(self, bench: Bench, pool: Pool | None) -> None:
        self._pool = pool
        self._bench, self._digest = packed(bench)
        self._stack = ExitStack()
        self._executor = None if pool is None else self._stack.enter_context(pool.make())

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *problem: object) -> None:
        self._stack.close()

    def measure(self, settings: Sequence[Numbered]) -> Iterator[tuple[int, Measured | DeployError]]:
        """Yield what each setting gives, in the order in which they get done.

        Raises:
            WorkersLostError: workers died again and again.
        """
        left = {number: self._task(number, setting) for number, setting in settings}
        if self._pool is None:
            for number, task in left.items():
                yield number, run_task(task)
            return
        lost = 0
        while left:
            assert self._executor is not None
            try:
                futures = {self._executor.submit(run_task, task): n for n, task in left.items()}
                for future in as_completed(futures):
                    found = future.result()
                    del left[futures[future]]
                    lost = 0
                    yield futures[future], found
            except BrokenExecutor as problem:
                lost += 1
                if lost == ATTEMPTS:
                    raise WorkersLostError(
                        f"workers were lost {lost} times in a row: {problem}",
                        where=f"trials {', '.join(map(str, left))}",
                        fix="fewer workers need less memory: --workers 1; or --samples with fewer",
                    ) from problem
                self._stack.close()
                self._executor = self._stack.enter_context(self._pool.make())

    def _task(self, number: int, setting: Setting) -> Task:
        return Task(trial=number, setting=setting, bench=self._bench, digest=self._digest)
