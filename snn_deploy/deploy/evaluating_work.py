"""What is evaluated: which output, on which samples of which data, in which blocks."""

import hashlib
from dataclasses import dataclass

from snn_deploy.deploy.analysis import backend_named
from snn_deploy.deploy.data import encode
from snn_deploy.deploy.datasets.source import Source
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.evaluating_block import Question, block_size
from snn_deploy.deploy.evaluating_journal import SCHEMA, Heading
from snn_deploy.deploy.version import version
from snn_deploy.errors import DataError, UnknownNameError


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
    steps: int
    """Of its first sample, before the program's lag."""

    options: str
    """How the data are read, for the journal."""


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


def work_of(
    deployment: Deployment,
    source: Source,
    question: Question,
    *,
    block: int | None,
    options: str,
) -> Work:
    """Return what is to be evaluated, cut into blocks.

    Args:
        deployment: The program, and the network that it was.
        source: The data.
        question: What is asked of them.
        block: Samples of a block; None: as many as memory has room for.
        options: How the data are read, for the journal.

    Raises:
        DataError: the data have no labels, or cannot be used.
        UnknownNameError: there is no such backend.
        OptionError: a block has no samples, or a time limit is not above 0.
    """
    backend_named(question.backend, question.time_limit)
    if not source.labelled:
        raise DataError(
            "the data has no labels",
            where=source.where,
            fix="np.savez(FILE, input=array, label=whole numbers); --labels FILE adds them to "
            "data without",
        )
    steps = encode(source.read(question.first, question.first + 1), deployment.encoding).steps
    size = block_size(deployment, question, steps, block)
    return Work(
        deployment=deployment,
        source=source,
        question=question,
        plan=Plan(first=question.first, samples=question.samples, size=size),
        steps=steps,
        options=options,
    )


def heading_of(work: Work) -> Heading:
    """Return what a journal of this work is for."""
    deployment, question = work.deployment, work.question
    asked: dict[str, str | int | bool | None] = {
        "output": question.output,
        "backend": question.backend,
        "real": question.real,
        "first": question.first,
        "samples": question.samples,
        "encoding": repr(deployment.encoding),
        "options": work.options,
    }
    network = deployment.nir if question.real else None
    return Heading(
        schema=SCHEMA,
        version=version(),
        program=deployment.program.digest,
        network="" if network is None else hashlib.sha256(network).hexdigest(),
        data=work.source.digest(),
        question=asked,
        blocks=work.plan.blocks,
    )
