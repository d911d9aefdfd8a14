"""Quantization-aware fine-tuning: a network trained as the integers that the chip will compute.

    tuned = prepare(network, find_target("loihi2"), options=Options(weight_bits=3))
    optimizer = torch.optim.Adam(tuned.groups())
    for spikes, label in batches:                       # [sample, step, *shape]
        loss = torch.nn.functional.cross_entropy(tuned(spikes).answer, label)
        ...
    compiled = tuned.compiled()                         # what compile_network would return

Going forward, every state is the chip's, bit for bit: stored weights, decays that round toward
zero, thresholds on their lattice, registers that wrap or saturate. Going backward, rounding is not
there and a spike has a surrogate gradient. docs/fine-tuning.md says how to use it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snn_deploy.errors import DataError, InputRangeError
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.graph import named
from snn_deploy.ir.network import Network, Output
from snn_deploy.ir.neuron import Decode
from snn_deploy.ir.program import Input, Population, Program
from snn_deploy.ir.trace import Values
from snn_deploy.quantize.lag import chip_lags, must_lower
from snn_deploy.quantize.options import Options
from snn_deploy.quantize.pipeline import Compiled
from snn_deploy.quantize.report import LayerReport, projection_report
from snn_deploy.quantize.rounding import weight_range
from snn_deploy.quantize.torch_forward import Record, forward
from snn_deploy.quantize.torch_halves import Halves, halves
from snn_deploy.quantize.torch_numbers import BiasRule, TrainedNeurons, TrainedWeights
from snn_deploy.quantize.torch_trainable import check_trainable
from snn_deploy.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the integer program did with a batch."""

    answers: tuple[Tensor, ...]
    """Per output of the network its decoded value [sample, neuron], in real units: counts, or
    membranes as they were trained."""

    records: Mapping[str, Record]
    """By population, its membranes and payloads: whole numbers [step, sample, *shape]."""

    @property
    def answer(self) -> Tensor:
        """The decoded value of the first output [sample, neuron]."""
        return self.answers[0]


class FineTune(nn.Module):  # type: ignore[misc]  # torch has no types here
    """An integer program as a torch module; `prepare` makes it.

    Its parameters are the real numbers behind the program's: weights and biases in the units that
    the network was trained in (`weights`, `biases`), and logarithms of thresholds (`thresholds`).
    Whatever must not change is frozen as usual: `parameter.requires_grad_(False)`.
    """

    def __init__(self, start: Halves) -> None:
        """Start from the whole numbers of `start`.

        Raises:
            UnsupportedError: the program has something that cannot be trained.
        """
        super().__init__()
        check_trainable(start.program)
        self.start = start
        self.projections = nn.ModuleList(_weights(start))
        self.populations = nn.ModuleList(_neurons(start))

    def forward(self, *inputs: Tensor) -> Run:
        """Run the program on real-valued inputs, as the network was trained with them.

        Args:
            inputs: One per input of the network, in its order: [sample, step, *shape].

        Raises:
            DataError: an input is missing or has a wrong shape.
            InputRangeError: an input's payload lies outside what the program declares.
        """
        program = self.start.program
        if len(inputs) != len(program.inputs):
            raise DataError(
                f"{len(inputs)} inputs, but the network has "
                f"{', '.join(entry.name for entry in program.inputs)}"
            )
        given = {e.name: _payload(e, x) for e, x in zip(program.inputs, inputs, strict=True)}
        records = forward(
            program,
            {part.name: part() for part in self.projections},
            {part.name: part() for part in self.populations},
            given,
        )
        answers = tuple(_decoded(o, program, records[o.population]) for o in program.outputs)
        return Run(answers=answers, records=records)

    def weights(self) -> Iterator[nn.Parameter]:
        """Yield the real weights, one tensor per projection."""
        yield from (part.real for part in self.projections)

    def thresholds(self) -> Iterator[nn.Parameter]:
        """Yield logarithms of the thresholds, relative to the first ones."""
        yield from (part.growth for part in self.populations if part.growth.requires_grad)

    def biases(self) -> Iterator[nn.Parameter]:
        """Yield the real biases."""
        for part in self.populations:
            yield from part.biases

    def groups(self, rate: float = 0.02) -> list[dict[str, Any]]:
        """Return parameter groups for Adam and its kin, whose steps have the size of `lr`.

        Weights and biases move by `rate` times the standard deviation of the weights into their
        population, for layers of one network may differ by orders of magnitude; thresholds by a
        tenth of `rate`.
        """
        groups: list[dict[str, Any]] = []
        for post in self.populations:
            into = [p.real for p in self.projections if p.start.target == post.name]
            sizes = [float(weight.detach().std(correction=0)) for weight in into]
            step = rate * max(sizes, default=0.0)
            groups += [
                {"params": [weight], "lr": rate * size}
                for weight, size in zip(into, sizes, strict=True)
            ]
            groups += [{"params": [bias], "lr": step} for bias in post.biases]
        return [*groups, {"params": [*self.thresholds()], "lr": rate / 10}]

    def program(self) -> Program:
        """Return the integers as they are now, without the chip's delays."""
        return replace(
            self.start.program,
            populations=tuple(part.population() for part in self.populations),
            projections=tuple(part.projection() for part in self.projections),
        )

    def compiled(self) -> Compiled:
        """Return the program for the chip: these integers, retimed and checked.

        Raises:
            QuantizeError: the chip cannot hold them.
        """
        program = self.program()
        changed = tuple(_changes(self.start.program, program))
        moved = {finding.layer for finding in changed}
        start = replace(
            self.start,
            findings=tuple(f for f in self.start.findings if f.layer not in moved),
            layers=tuple(self._report(report) for report in self.start.layers),
        )
        return start.finished(program, changed)

    def _report(self, report: LayerReport) -> LayerReport:
        """Return how far the trained real weights are from their whole numbers."""
        parts = {part.name: part for part in self.projections}
        projections = []
        for old in report.projections:
            part = parts[old.name]
            real = part.real.detach().cpu().numpy()
            stored = part().detach().cpu().numpy()
            projections.append(projection_report(old.name, real, stored, 0, old.unit))
        return replace(report, projections=tuple(projections), agreement=None)


def prepare(
    network: Network,
    target: Target,
    *,
    encoding: Encoding | None = None,
    calibration: Sequence[Values] | None = None,
    options: Options | None = None,
) -> FineTune:
    """Return the integers of `network` for `target` as a module that can be trained.

    It starts as what `compile_network` makes with the same arguments, which raise the same errors;
    `options.weight_bits` says how fine the weights are.

    Raises:
        UnsupportedError: the network has something that cannot be trained as integers.
    """
    return FineTune(
        halves(network, target, encoding=encoding, calibration=calibration, options=options)
    )


def _weights(start: Halves) -> Iterator[TrainedWeights]:
    units = {entry.name: float(entry.unit) for entry in start.program.inputs}
    for projection in start.program.projections:
        trained = named(start.network.projections, projection.name)
        population = start.program.population(projection.target)
        bits = start.options.bits_of(projection.name, population.name)
        yield TrainedWeights(
            projection,
            population,
            trained.map.numbers() * units.get(projection.source, 1.0),
            weight_range(start.target, projection.sign, bits),
        )


def _neurons(start: Halves) -> Iterator[TrainedNeurons]:
    lag = chip_lags(start.program, start.target)
    for population in start.program.populations:
        rules = [
            BiasRule.of(
                start.target,
                lowered=must_lower(population, bias, lag[population.name], start.target),
            )
            for bias in population.biases
        ]
        yield TrainedNeurons(population, start.target, rules)


def _payload(entry: Input, values: Tensor) -> Tensor:
    """Return the integer payloads of one input, [step, sample, *shape] in float64."""
    if values.dim() < 2 or tuple(values.shape[2:]) != entry.shape:
        raise DataError(
            f"an input of shape {tuple(values.shape)}; it is [sample, step, "
            f"{', '.join(map(str, entry.shape))}]",
            where=entry.name,
        )
    payload = (values.detach().to(torch.float64) / float(entry.unit)).round()
    low, high = (float(end) for end in torch.aminmax(payload)) if payload.numel() else (0.0, 0.0)
    if not entry.low <= low <= high <= entry.high:
        raise InputRangeError(
            f"payloads of {low:g}..{high:g}, but the program declares {entry.low}..{entry.high}",
            where=entry.name,
            fix="prepare(..., encoding=Encoding(low=..., high=..., unit=...))",
        )
    return payload.transpose(0, 1)


def _decoded(output: Output, program: Program, record: Record) -> Tensor:
    """Return an answer [sample, neuron], in real units."""
    population = program.population(output.population)
    steps = len(record.payload) - output.delay
    if output.decode.spiking:
        return _spikes_read(output, record.payload[:steps].flatten(2))
    membrane = record.membrane[:steps].flatten(2)
    units = torch.tensor(np.broadcast_to(population.units, population.shape).ravel())
    real = units.to(membrane.device) * membrane + float(population.origin)
    if output.decode is Decode.MEMBRANE_END:
        return real[-1]
    if output.decode is Decode.MEMBRANE_MEAN:
        return real.mean(dim=0)
    if output.decode is Decode.WEIGHTED_MEMBRANE:
        return _weighted(output, real)
    return real.amax(dim=0)


def _spikes_read(output: Output, payload: Tensor) -> Tensor:
    """Return an answer [sample, neuron] from what was sent [step, sample, neuron]."""
    if output.decode is Decode.COUNT:
        return payload.sum(dim=0)
    if output.decode is Decode.WEIGHTED_COUNT:
        return _weighted(output, payload)
    silent = (payload == 0).to(payload.dtype) + payload.detach() - payload
    waiting = torch.cumprod(silent, dim=0)
    if output.decode is Decode.FIRST_SPIKE:
        return -waiting.sum(dim=0)
    return _weighted(output, torch.cat([torch.ones_like(waiting[:1]), waiting[:-1]]) - waiting)


def _weighted(output: Output, record: Tensor) -> Tensor:
    """Return the sum of a record [step, sample, neuron] times the weights of its steps."""
    assert output.weights is not None
    if len(output.weights.values) != len(record):
        raise DataError(
            f"the answer weighs {len(output.weights.values)} steps, the samples have {len(record)}",
            where=output.name,
        )
    weights = np.ldexp(np.array(output.weights.values, np.float64), output.weights.exponent)
    return torch.tensordot(torch.tensor(weights).to(record), record, dims=([0], [0]))


def _changes(before: Program, after: Program) -> Iterator[Finding]:
    """Yield what training changed, one finding per projection or population."""
    reason = "fine-tuned as integers; the accuracy of the network as trained says nothing of these"
    for old, new in zip(before.projections, after.projections, strict=True):
        moved = np.mean(old.map.numbers() != new.map.numbers())
        if moved:
            yield Finding(
                kind=Kind.CHANGED,
                layer=old.name,
                amount=f"{moved * 100:.2g} % of the weights have other whole numbers",
                reason=reason,
            )
    for was, now in zip(before.populations, after.populations, strict=True):
        amount = _neuron_change(was, now)
        if amount:
            yield Finding(kind=Kind.CHANGED, layer=was.name, amount=amount, reason=reason)


def _neuron_change(was: Population, now: Population) -> str:
    parts = []
    if not np.array_equal(was.threshold, now.threshold):
        ratio = np.max(np.abs(now.threshold / np.maximum(was.threshold, 1) - 1))
        parts.append(f"the threshold moved by up to {ratio * 100:.2g} %")
    if any(
        not np.array_equal(old.value, new.value)
        for old, new in zip(was.biases, now.biases, strict=True)
    ):
        parts.append("the biases moved")
    return ", ".join(parts)
