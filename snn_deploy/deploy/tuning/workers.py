"""Settings measured one after the other, or by the workers of any executor."""

from collections.abc import Iterator, Sequence

from snn_deploy.deploy.pools import Crew, Pool
from snn_deploy.deploy.tuning.measuring import Bench, Measured, Trial, packed
from snn_deploy.deploy.tuning.setting import Setting
from snn_deploy.deploy.workers import run_jobs
from snn_deploy.errors import DeployError

Numbered = tuple[int, Setting]


class Workers:
    """Measures settings with a bench; a context manager that ends what it started.

    Args:
        bench: What they are measured with.
        pool: Where; None: here.
    """

    def __init__(self, bench: Bench, pool: Pool | None) -> None:
        self._bench, self._digest = packed(bench)
        self._crew = None if pool is None else Crew(pool)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *problem: object) -> None:
        if self._crew is not None:
            self._crew.__exit__(*problem)

    def measure(self, settings: Sequence[Numbered]) -> Iterator[tuple[int, Measured | DeployError]]:
        """Yield what each setting gives, in the order in which they get done.

        Raises:
            WorkersLostError: workers died again and again, or none is left.
            MemoryShortError: a worker has not the memory.
        """
        trials = [
            Trial(number=number, setting=setting, bench=self._bench, digest=self._digest)
            for number, setting in settings
        ]
        if self._crew is None:
            yield from (trial.run() for trial in trials)
        else:
            yield from run_jobs(trials, self._crew)
