"""What `evaluate` does: blocks of samples, run wherever there is room, counted and kept."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snn_deploy.deploy.data import encode
from snn_deploy.deploy.datasets.source import Source
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.evaluating_block import (
    Found,
    LayerCounts,
    Question,
    block_size,
    run_block,
)
from snn_deploy.deploy.evaluating_journal import SCHEMA, Heading, journal
from snn_deploy.deploy.evaluating_results import Answered, Evaluation
from snn_deploy.deploy.evaluating_workers import Model, Pool, Task, processes, run_tasks
from snn_deploy.deploy.outcomes import LayerActivity
from snn_deploy.deploy.progress import bar
from snn_deploy.deploy.version import version
from snn_deploy.errors import DataError, MissingLibraryError, OptionError, UnknownNameError
from snn_deploy.quantize.ranges import prove

CONNECT = "10s"
"""How long a Dask scheduler may take to answer."""

MakesExecutor = Executor | Callable[[], AbstractContextManager[Executor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which samples make which blocks."""

    first: int
    samples: int
    size: int
    """Samples of a block; the last one may have fewer."""

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.samples // self.size)

    def bounds(self, block: int) -> tuple[int, int]:
        """Return the first sample of a block, and the one after its last."""
        start = self.first + block * self.size
        return start, min(start + self.size, self.first + self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is evaluated, on what, in which blocks."""

    deployment: Deployment
    source: Source
    question: Question
    plan: Plan


def output_named(deployment: Deployment, name: str | None) -> str:
    """Return the name of the output that is judged, by default the first.

    Raises:
        UnknownNameError: there is none of that name.
    """
    names = [output.name for output in deployment.program.outputs]
    if name is not None and name not in names:
        raise UnknownNameError(
            f"no output is called {name!r}; there are {', '.join(names)}",
            where="--output",
            fix=f"--output {names[0]}",
        )
    return name or names[0]


def evaluate(
    deployment: Deployment,
    source: Source,
    question: Question,
    *,
    pool: Pool | None = None,
    block: int | None = None,
    kept: Path | None = None,
    options: str = "",
) -> Evaluation:
    """Count right answers; see `api.evaluate`.

    Args:
        deployment: The program, and the network that it was.
        source: The data.
        question: What is asked of them.
        pool: Where blocks are run; None: here, one after the other.
        block: Samples of a block; None: as many as memory has room for.
        kept: Journal of finished blocks.
        options: How the data are read, for the journal.

    Raises:
        DataError: the data have no labels, or cannot be used.
        OptionError: a journal is of something else.
        CannotWriteError: the journal could not be written.
        WorkersLostError: workers died again and again.
    """
    if not source.labelled:
        raise DataError(
            "the data has no labels",
            where=source.where,
            fix="np.savez(FILE, input=array, label=whole numbers); --labels FILE adds them to "
            "data without",
        )
    steps = encode(source.read(question.first, question.first + 1), deployment.encoding).steps
    size = block_size(deployment, question, steps, block)
    plan = Plan(first=question.first, samples=question.samples, size=size)
    work = Work(deployment=deployment, source=source, question=question, plan=plan)
    found: dict[int, Found] = {}
    with _kept(work, kept, options) as (done, keep):
        found.update(done)
        left = [number for number in range(plan.blocks) if number not in found]
        with bar(f"integers ({question.backend})", plan.samples, counted=True) as advance:
            advance(sum(len(one.label) for one in done.values()))
            for one in _run(work, left, pool):
                keep(one)
                found[one.block] = one
                advance(len(one.label))
    return _counted(work, [found[number] for number in range(plan.blocks)])


@contextmanager
def _kept(
    work: Work, path: Path | None, options: str
) -> Iterator[tuple[dict[int, Found], Callable[[Found], None]]]:
    """Open the journal, if there is one; yield what it has, and what adds to it."""
    if path is None:
        yield {}, lambda found: None
        return
    deployment, question = work.deployment, work.question
    asked: dict[str, str | int | bool | None] = {
        "output": question.output,
        "backend": question.backend,
        "real": question.real,
        "first": question.first,
        "samples": question.samples,
        "encoding": repr(deployment.encoding),
        "options": options,
    }
    network = deployment.nir if question.real else None
    heading = Heading(
        schema=SCHEMA,
        version=version(),
        program=deployment.program.digest,
        network="" if network is None else hashlib.sha256(network).hexdigest(),
        data=work.source.digest(),
        question=asked,
        blocks=work.plan.blocks,
    )
    with journal(path, heading) as opened:
        yield opened.done, opened.add


def _run(work: Work, blocks: list[int], pool: Pool | None) -> Iterator[Found]:
    """Yield what each of some blocks shows."""
    source, question, plan = work.source, work.question, work.plan
    if pool is None:
        for block in blocks:
            data = source.read(*plan.bounds(block))
            yield run_block(work.deployment, question, block, data)
        return
    if not blocks:
        return
    model = Model.of(work.deployment)
    request = None if source.request is None else source.request.anywhere()

    def tasks() -> Iterator[Task]:
        for block in blocks:
            start, stop = plan.bounds(block)
            yield Task(
                model=model,
                question=question,
                block=block,
                start=start,
                stop=stop,
                data=source.read(start, stop) if request is None else request,
            )

    yield from run_tasks(tasks(), pool)


def _counted(work: Work, found: list[Found]) -> Evaluation:
    """Return the sum of what all blocks show."""
    pairs: Counter[tuple[int, int]] = Counter()
    correct_real = same = 0
    for one in found:
        pairs.update(zip(one.label, one.predicted, strict=True))
        if one.real is not None:
            correct_real += sum(a == b for a, b in zip(one.label, one.real, strict=True))
            same += sum(a == b for a, b in zip(one.predicted, one.real, strict=True))
    layers = [
        LayerCounts(
            spikes=sum(layer.spikes for layer in of_all),
            events=sum(layer.events for layer in of_all),
            overflows=sum(layer.overflows for layer in of_all),
        )
        for of_all in zip(*(one.layers for one in found), strict=True)
    ]
    slots, steps = sum(one.slots for one in found), found[0].steps
    question, program = work.question, work.deployment.program
    proofs = prove(program, work.deployment.target, steps)
    return Evaluation(
        samples=question.samples,
        steps=steps,
        backend=question.backend,
        output=question.output,
        correct=sum(number for (label, answer), number in pairs.items() if label == answer),
        correct_real=correct_real if question.real else None,
        same=same if question.real else None,
        confusion=tuple(
            Answered(label=label, predicted=answer, samples=number)
            for (label, answer), number in sorted(pairs.items())
        ),
        classes=work.source.classes,
        activity=tuple(
            LayerActivity(
                layer=population.name,
                neurons=population.size,
                spikes=layer.spikes / question.samples,
                active=layer.events / (population.size * slots),
                overflows=layer.overflows,
                proven=proof.proven,
            )
            for population, layer, proof in zip(program.populations, layers, proofs, strict=True)
        ),
        late=sum(one.late for one in found),
    )


@contextmanager
def pool_of(
    workers: int | None, dask: str | None, executor: MakesExecutor | None
) -> Iterator[Pool | None]:
    """Open what blocks are run on; None: this process.

    Args:
        workers: Number of processes.
        dask: Address of a Dask scheduler.
        executor: Any executor, or a function that makes one.

    Raises:
        OptionError: more than one is given, or the scheduler does not answer.
        MissingLibraryError: Dask is not installed.
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
        threads = sum(client.nthreads().values())
        yield Pool(make=lambda: nullcontext(client.get_executor()), in_flight=max(2, 2 * threads))


def threads_of(workers: int | None, *, elsewhere: bool) -> int | None:
    """Return how many threads a simulator has, so that workers share the processors.

    Args:
        workers: Number of processes on this machine.
        elsewhere: Blocks run on an executor that we know nothing of.
    """
    if elsewhere:
        return 1
    return None if workers is None else max(1, (os.cpu_count() or 1) // workers)


def within(source: Source, first: int, samples: int | None) -> int:
    """Return the number of samples from `first` on, all of them or so many.

    Raises:
        OptionError: the data have not so many.
    """
    stop = source.samples if samples is None else first + samples
    if not 0 <= first < stop <= source.samples:
        raise OptionError(
            f"samples {first} to {stop - 1} of a data set with {source.samples}",
            fix=f"--first 0 --samples {source.samples}",
        )
    return stop - first
