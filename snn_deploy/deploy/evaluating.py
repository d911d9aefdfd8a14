"""What `evaluate` does: blocks of samples, run wherever there is room, counted and kept."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from snn_deploy.deploy.evaluating_block import Found, LayerCounts, run_block
from snn_deploy.deploy.evaluating_journal import journal
from snn_deploy.deploy.evaluating_results import Answered, Evaluation
from snn_deploy.deploy.evaluating_work import Work, heading_of
from snn_deploy.deploy.evaluating_workers import Model, Task
from snn_deploy.deploy.outcomes import LayerActivity
from snn_deploy.deploy.pools import Crew, Pool
from snn_deploy.deploy.progress import bar
from snn_deploy.deploy.workers import run_jobs
from snn_deploy.quantize.ranges import prove


def evaluate(work: Work, *, pool: Pool | None, kept: Path | None) -> Evaluation:
    """Count right answers; see `api.evaluate`.

    Args:
        work: What is asked of which data.
        pool: Where blocks are run; None: here, one after the other.
        kept: Journal of finished blocks.

    Raises:
        DataError: the data cannot be used.
        OptionError: a journal is of something else.
        CannotWriteError: the journal could not be written.
        WorkersLostError: workers died again and again.
    """
    question, plan = work.question, work.plan
    found: dict[int, Found] = {}
    with _kept(work, kept) as (done, keep):
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
    work: Work, path: Path | None
) -> Iterator[tuple[dict[int, Found], Callable[[Found], None]]]:
    """Open the journal, if there is one; yield what it has, and what adds to it."""
    if path is None:
        yield {}, lambda found: None
        return
    with journal(path, heading_of(work)) as opened:
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
