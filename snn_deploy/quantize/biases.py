"""Biases that a chip cannot gate become weights of a clock neuron."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Int

from snn_deploy.errors import DoesNotFitError
from snn_deploy.ir.arrays import per_neuron
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.maps import Dense, LinearMap, Sparse
from snn_deploy.ir.neuron import Compare, ResetKind
from snn_deploy.ir.program import Bias, Population, Program, Projection, Reset, Role, Sign
from snn_deploy.ir.words import counted
from snn_deploy.quantize.lag import CLOCK, must_lower
from snn_deploy.quantize.passes import Passed
from snn_deploy.quantize.rounding import wire_grid
from snn_deploy.targets import Target, other_target


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerBiases:
    """Pass: a bias that starts late or enters a current becomes weights of a clock neuron.

    The clock is one neuron that fires in every step of the network from step 0 on. Its weights, in
    an excitatory and an inhibitory part, each split into high and low bits where one weight cannot
    hold them (into more where weights come in coarse steps), add up to exactly the bias; their
    delay is the step in which the bias starts, however long the chip's delays are: relays can make
    it. A bias of 0 goes.
    """

    name: ClassVar[str] = "lower-biases"

    target: Target

    def __call__(self, graph: Program) -> Passed[Program]:
        """Return `graph`, which has been retimed, with the chip's own biases only.

        Raises:
            DoesNotFitError: a bias is no multiple of a weight, too large, or starts before a
                spike of the clock can arrive.
        """
        name = _free_name(
            {x.name for part in (graph.inputs, graph.populations, graph.projections) for x in part}
        )
        populations: list[Population] = []
        wires: list[Projection] = []
        for population in graph.populations:
            kept = []
            for number, bias in enumerate(population.biases):
                if self._lowers(population, bias, graph.period):
                    wires += self._wires(population, bias, name, number)
                elif np.any(bias.value):
                    kept.append(bias)
            populations.append(replace(population, biases=tuple(kept)))
        if not wires:
            return Passed(graph=replace(graph, populations=tuple(populations)))
        neurons = sum(graph.population(t).size for t in {w.target for w in wires})
        lowered_graph = replace(
            graph,
            populations=(*populations, self._clock(name, graph.period)),
            projections=(*graph.projections, *wires, *self._ticks(name, graph.period)),
        )
        finding = Finding(
            kind=Kind.RETIMED,
            layer=name,
            amount=f"one clock neuron with {counted(len(wires), 'projection')} carries "
            f"the biases of {counted(neurons, 'neuron')}",
            reason=f"{self.target.name} has no bias that starts late or enters a current",
        )
        return Passed(graph=lowered_graph, findings=(finding,))

    def _lowers(self, population: Population, bias: Bias, period: int) -> bool:
        own = replace(bias, start=bias.start - population.lag)
        return must_lower(population, own, population.lag, self.target, period)

    def _clock(self, name: str, period: int) -> Population:
        """Return a neuron that fires in every step of the network, and a reset brings back.

        A bias alone makes it fire; where the network's steps take several, its initial membrane
        does so once, and its own spike from then on: so it is still in between.
        """
        threshold = np.asarray(1 << self.target.thresholds.shift.value, np.int32)
        above = np.asarray(2 * threshold)
        return Population(
            name=name,
            shape=(1,),
            decay=np.asarray(self.target.states.membrane_multiplier.high, np.int32),
            threshold=threshold,
            compare=Compare.GREATER,
            reset=Reset(kind=ResetKind.VALUE),
            biases=(Bias(value=above),) if period == 1 else (),
            initial=np.zeros((), np.int32) if period == 1 else above,
            role=Role.CLOCK,
        )

    def _ticks(self, name: str, period: int) -> Iterator[Projection]:
        """Yield the loop that makes the clock fire again a step of the network later."""
        rule = self.target.weights
        if period > 1:
            yield Projection(
                name=f"{name}.ticks",
                source=name,
                target=name,
                map=Dense(weight=np.array([[rule.excitatory.high]], np.int32)),
                shift=rule.shift.value,
                delay=np.asarray(period, np.int32),
                sign=Sign.EXCITATORY,
            )

    def _wires(
        self, population: Population, bias: Bias, clock: str, number: int
    ) -> Iterator[Projection]:
        shift = self.target.weights.shift.value
        value = per_neuron(bias.value, population.shape).ravel().astype(np.int64)
        self._check(population, bias, value)
        steps = value >> shift
        for sign, part in ((Sign.EXCITATORY, steps.clip(0)), (Sign.INHIBITORY, (-steps).clip(0))):
            for exponent, weight in self._bits(part, sign, f"{population.name}.bias"):
                if np.any(weight):
                    signed = weight if sign is Sign.EXCITATORY else -weight
                    yield Projection(
                        name=f"{clock}.{population.name}.{number}.{sign.value}.{exponent}",
                        source=clock,
                        target=population.name,
                        map=_column(signed.astype(np.int32)),
                        shift=shift + exponent,
                        delay=np.asarray(bias.start, np.int32),
                        sign=sign,
                        into=None if bias.into is population.entry else bias.into,
                    )

    def _check(self, population: Population, bias: Bias, value: np.ndarray) -> None:
        grid = wire_grid(self.target)
        if np.any(value % grid):
            raise DoesNotFitError(
                f"a bias of {value[value % grid != 0][0]} state units is no multiple of {grid}, "
                "which is what a weight adds",
                where=f"{population.name}.bias",
                fix="round the biases as ToIntegers does",
            )
        if bias.start < self.target.delay.low:
            raise DoesNotFitError(
                f"a bias starts in step {bias.start}, but a wire from the clock takes "
                f"{self.target.delay} steps",
                where=f"{population.name}.bias",
                fix="--target cpu",
            )

    def _bits(
        self, part: Int[np.ndarray, " neuron"], sign: Sign, where: str
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (exponent, weights) that add up to `part`, all positive, the highest bits first.

        Raises:
            DoesNotFitError: the highest exponent is too small for it.
        """
        rule = self.target.weights
        stored = rule.excitatory if sign is Sign.EXCITATORY else rule.inhibitory
        most, largest = max(stored.high, -stored.low), int(part.max(initial=0))
        exponent = _exponent(largest, most, stored.step)
        if exponent > rule.exponent.high:
            raise DoesNotFitError(
                f"a bias of {largest << rule.shift.value} state units needs more than two weights",
                where=where,
                fix="rescale the biases in training, or use "
                + other_target(self.target, lambda other: other.weights.exponent.high >= exponent),
            )
        while np.any(part):
            exponent = _exponent(int(part.max()), most, stored.step)
            weight = (part >> exponent) // stored.step * stored.step
            yield exponent, weight
            part = part - (weight << exponent)


def _exponent(largest: int, most: int, step: int) -> int:
    """Return the least exponent with which the high bits of a number are a weight."""
    exponent = 0
    while (largest >> exponent) // step * step > most:
        exponent += 1
    return exponent


def _column(weight: Int[np.ndarray, " neuron"]) -> LinearMap:
    """Return the map of one source to every neuron; zeros are not stored, nor paid for."""
    post = np.flatnonzero(weight)
    if post.size == weight.size:
        return Dense(weight=weight[:, None])
    return Sparse(
        post=post,
        pre=np.zeros_like(post),
        weight=weight[post],
        post_shape=weight.shape,
        pre_shape=(1,),
    )


def _free_name(taken: set[str]) -> str:
    name = CLOCK
    while any(other == name or other.startswith(f"{name}.") for other in taken):
        name += "_"
    return name
