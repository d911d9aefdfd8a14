"""What `evaluate` does: blocks of samples, run wherever there is room, counted and kept."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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
from snn_deploy.deploy.evaluating_workers import Model, Task
from snn_deploy.deploy.outcomes import LayerActivity
from snn_deploy.deploy.pools import Crew, Pool
from snn_deploy.deploy.progress import bar
from snn_deploy.deploy.version import version
from snn_deploy.deploy.workers import run_jobs
from snn_deploy.errors import DataError, OptionError, UnknownNameError
from snn_deploy.quantize.ranges import prove


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

    with Crew(pool) as crew:
        yield from run_jobs(tasks(), crew)


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
