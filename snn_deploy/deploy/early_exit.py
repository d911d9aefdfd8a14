"""Early exit: a sample is left as soon as one class leads, and costs only the steps that it ran.

The chip does not know it. Whoever runs the program reads the output after each step, and presents
the next sample when the leading class is ahead by so much, or when all steps are over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int64

from snn_deploy.deploy import runs
from snn_deploy.errors import OptionError
from snn_deploy.ir.codecs import Encode, needs
from snn_deploy.ir.network import Between, Output
from snn_deploy.ir.neuron import Decode, State
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import Trace, Values

if TYPE_CHECKING:
    from snn_deploy.deploy.data import Data
    from snn_deploy.deploy.deployment import Deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyExit:
    """When a sample is left."""

    lead: float
    """How far the leading class is ahead of the next one, in what the output's decoder gives:
    spikes, or the membrane in real units."""

    after: int = 1
    """Steps that every sample runs at least [steps of the network]."""


def early_exit_of(configuration: Mapping[str, Any]) -> EarlyExit | None:
    """Return the rule that options of an export state; None: every sample runs all steps.

    Raises:
        OptionError: a lead that is none, steps below 1, or steps without a lead.
    """
    lead, after = configuration.get("exit_lead"), configuration.get("exit_after")
    if lead is None and after is None:
        return None
    if lead is None:
        raise OptionError(
            "--exit-after says when a sample is left at the earliest, and none is left",
            where="--exit-after",
            fix="--exit-lead 1, or leave --exit-after out",
        )
    if not (isinstance(lead, int | float) and 0 < lead < float("inf")):
        raise OptionError(f"a lead of {lead}", where="--exit-lead", fix="--exit-lead 1")
    if after is not None and not (isinstance(after, int) and after >= 1):
        raise OptionError(f"exit after {after} steps", where="--exit-after", fix="--exit-after 1")
    return EarlyExit(lead=float(lead), after=1 if after is None else after)


def check_early_exit(rule: EarlyExit | None, program: Program) -> None:
    """Refuse a rule for a program whose samples cannot be left.

    Raises:
        OptionError: its samples follow each other without a break, or its decoder has no lead.
    """
    if rule is None:
        return
    output = program.outputs[0]
    why = ""
    if program.boundary.between is not Between.FRESH:
        why = "its samples follow each other without a break"
    elif output.decode is Decode.FIRST_SPIKE:
        why = "the first spike is the answer already"
    elif program.population(output.population).size < 2:
        why = f"output {output.name!r} has one neuron, which nobody leads"
    if why:
        raise OptionError(
            f"no sample of this network can be left early: {why}",
            where="--exit-lead",
            fix="leave --exit-lead out",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answers to some samples."""

    answer: Float[np.ndarray, "sample ..."]
    steps: Int64[np.ndarray, " sample"]
    """That each sample ran until its answer was read [steps of the network]."""


def answered(
    program: Program, output: Output, trace: Trace, block: runs.Block, rule: EarlyExit | None
) -> Answered:
    """Return the decoded answers of an integer run, those of left samples as they were then.

    Args:
        program: What was run.
        output: Which of its outputs; only the first one decides when a sample is left.
        trace: Its record.
        block: The samples.
        rule: When they are left; None: never.
    """
    if rule is None or output != program.outputs[0]:
        steps = np.full(block.samples, block.steps, np.int64)
        return Answered(answer=runs.program_answer(program, output, trace, block), steps=steps)
    record = so_far(program, output, trace, block)
    left = leaving(record, rule)
    return Answered(answer=record[np.arange(len(left)), left - 1], steps=left + output.delay)


def so_far(
    program: Program, output: Output, trace: Trace, block: runs.Block
) -> Float[np.ndarray, "sample step ..."]:
    """Return the answers that a decoder would give after each step.

    Raises:
        ValueError: the trace does not hold the state that it reads.
    """
    population, state = program.population(output.population), needs(output.decode)
    record = trace[output.population].state(state)
    if record is None:
        raise ValueError(f"{output.population}: {state.value} was not recorded")
    own = record[:, population.lag :: program.period][:, : block.steps - output.delay]
    values = own.astype(np.float64)
    if output.decode is Decode.COUNT:
        values = np.cumsum(values, axis=1)
    elif output.decode is Decode.MEMBRANE_MEAN:
        number = np.arange(1, values.shape[1] + 1).reshape(1, -1, *(1 for _ in population.shape))
        values = np.cumsum(values, axis=1) / number
    elif output.decode is Decode.MEMBRANE_MAX:
        values = np.maximum.accumulate(values, axis=1)
    return values * population.units if state is State.MEMBRANE else values


def leads(
    record: Float[np.ndarray, "sample step ..."],
) -> Float[np.ndarray, "sample step"]:
    """Return how far the leading class is ahead of the next one after each step."""
    flat = record.reshape(*record.shape[:2], -1)
    two = np.partition(flat, flat.shape[2] - 2, axis=2)[:, :, -2:]
    return two[:, :, 1] - two[:, :, 0]


def leaving(
    record: Float[np.ndarray, "sample step ..."], rule: EarlyExit
) -> Int64[np.ndarray, " sample"]:
    """Return after how many steps each sample is left, at the latest after all."""
    ahead = leads(record) >= rule.lead
    ahead[:, : rule.after - 1] = False
    ahead[:, -1] = True
    return ahead.argmax(axis=1) + 1


def shortened(deployment: "Deployment", data: "Data", steps: int) -> tuple["Deployment", "Data"]:
    """Return a deployment and its data with only the first steps of each sample.

    What comes in is the same as in a longer run: encoders make one step after the other.
    """
    encoding = deployment.encoding
    if encoding.how is not Encode.RECORDED:
        return replace(deployment, encoding=replace(encoding, steps=steps)), data
    arrays = tuple(Values(name=a.name, values=a.values[:, :steps]) for a in data.arrays)
    return deployment, replace(data, arrays=arrays)
