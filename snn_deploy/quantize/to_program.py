"""The pass from real numbers to whole ones: Network -> Program, all lags still 0."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from snn_deploy.errors import DoesNotFitError, UnsupportedError
from snn_deploy.ir import program as whole_ir
from snn_deploy.ir.arithmetic import Decay
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.graph import step_order
from snn_deploy.ir.network import Network, Population
from snn_deploy.ir.neuron import Fires, ResetKind
from snn_deploy.ir.program import Binary, Program
from snn_deploy.ir.telling import counting
from snn_deploy.ir.trace import Values
from snn_deploy.quantize.lag import chip_lags
from snn_deploy.quantize.layer import Layers
from snn_deploy.quantize.limits import SIZES
from snn_deploy.quantize.options import Options
from snn_deploy.quantize.passes import Passed
from snn_deploy.quantize.report import LayerReport
from snn_deploy.quantize.rounded import Rounded
from snn_deploy.quantize.trial import Trials
from snn_deploy.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class ToIntegers:
    """Pass: every population gets one scale, and all its numbers become whole on that scale.

    Weights, thresholds, resets, biases and initial states are multiples of what the target
    stores, nearest, half to even. The scale is searched so that together they lose least; with
    calibration data the best few are run on it, each layer fed by the rounded layers below.
    Spikes arrive as in the network, in the same step: `Retime` gives the chip its delays.
    """

    name: ClassVar[str] = "to-integers"

    target: Target
    encoding: Encoding
    options: Options
    calibration: tuple[Values, ...] | None = None
    """Real-valued inputs [sample, step, *shape], one per input."""

    def __call__(self, graph: Network) -> Passed[Program]:
        """Return the program of `graph`.

        Raises:
            DoesNotFitError: an input range or a threshold that the target cannot store, or
                numbers too large or too small to be scaled.
            UnsupportedError: a decay outside 0..1.
            LoopTooShortError: a loop has less delay than the chip needs.
        """
        layers = self.layers(graph)
        done: dict[str, Rounded] = {}
        agreement: dict[str, float | None] = {}
        work = _work(graph)
        with counting.get()("choosing scales", sum(work.values())) as advance:
            for name in step_order(graph):
                tried = layers.candidates(name)
                if layers.trials is None:
                    done[name] = tried[0]
                else:
                    done[name], agreement[name] = layers.trials.best(tried)
                layers.keep(done[name])
                advance(work[name])
        rounded = [done[p.name] for p in graph.populations]
        return Passed(
            graph=self._program(graph, rounded),
            findings=tuple(f for r in rounded for f in r.findings),
            layers=tuple(_with_agreement(r.report, agreement) for r in rounded),
        )

    def layers(self, graph: Network) -> Layers:
        """Return what is needed to round the populations of `graph`, one by one.

        Raises:
            QuantizeError: as the pass itself.
            DataError: the calibration data does not fit the network.
        """
        self._check(graph)
        names = [p.name for p in graph.populations] + [p.name for p in graph.projections]
        self.options.check_names(names)
        trials = None
        if self.calibration is not None:
            trials = Trials.start(graph, self.calibration, self.encoding, self.target)
        return Layers(
            network=graph,
            target=self.target,
            encoding=self.encoding,
            options=self.options,
            method=self.options.method(self.target, calibrated=trials is not None),
            lag=chip_lags(graph, self.target, self.options.dilation),
            trials=trials,
        )

    def _check(self, graph: Network) -> None:
        low, high = self.encoding.low, self.encoding.high
        if low not in self.target.payload or high not in self.target.payload:
            raise DoesNotFitError(
                f"inputs of {low}..{high}, but {self.target.name} sends {self.target.payload}",
                where=graph.inputs[0].name if graph.inputs else "",
                fix=f"--input-range {max(low, self.target.payload.low)}"
                f":{min(high, self.target.payload.high)}",
            )
        for population in graph.populations:
            self._check_kind(population)
            self._check_decays(population)
            self._check_sizes(graph, population)

    def _check_kind(self, population: Population) -> None:
        if population.fires is Fires.GRADED and population.reset.kind is not ResetKind.NONE:
            raise UnsupportedError(
                "a neuron that sends its membrane is reset by what it sends, which has no "
                "whole-number form",
                where=population.name,
                fix="a filter without a reset",
            )

    def _check_decays(self, population: Population) -> None:
        states, one = self.target.states, self.target.decay_one
        multiplies = self.target.arithmetic.decay is Decay.MULTIPLY
        for allowed, decays in (
            (states.membrane_multiplier, [population.decay]),
            (states.current_multiplier, [synapse.decay for synapse in population.synapses]),
        ):
            low = min(0.0, allowed.low / one) if multiplies else 0.0
            for decay in decays:
                wrong = decay[(decay < low) | (decay > 1)]
                if wrong.size:
                    raise UnsupportedError(
                        f"a state is multiplied by {wrong.flat[0]:g} per step; "
                        f"{self.target.name} has factors of {low:g}..1",
                        where=population.name,
                        fix="--dt with a step shorter than the time constant",
                    )

    def _check_sizes(self, graph: Network, population: Population) -> None:
        """Refuse numbers whose scale, or whose square, float64 cannot tell from 0 or infinity."""
        parts = [("bias", b.value) for b in population.biases]
        parts += [("reset", population.reset.amount), ("initial membrane", population.initial)]
        parts += [("initial current", synapse.initial) for synapse in population.synapses]
        parts += [(f"table of the {t.what.value}", t.rows) for t in population.tables]
        if population.floor is not None:
            parts.append(("floor", population.floor.value))
        for what, values in parts:
            _check_size(what, float(np.abs(values).max(initial=0.0)), population.name)
        if population.fires.spiking:
            for threshold in np.unique(np.abs(population.threshold)):
                _check_size("threshold", float(threshold), population.name)
        for p in graph.into(population.name):
            weight = float(np.abs(p.map.numbers()).max(initial=0.0))
            _check_size("weight", weight * self._unit(graph, p.source), p.name)

    def _unit(self, graph: Network, source: str) -> float:
        is_input = any(i.name == source for i in graph.inputs)
        return self.encoding.unit if is_input else 1.0

    def _program(self, graph: Network, rounded: Sequence[Rounded]) -> Program:
        by_name = {p.name: p for r in rounded for p in r.projections}
        return Program(
            name=graph.name,
            target=self.target.name,
            arithmetic=self.target.arithmetic,
            inputs=tuple(
                whole_ir.Input(
                    name=i.name,
                    shape=i.shape,
                    low=self.encoding.low,
                    high=self.encoding.high,
                    unit=Binary.of(self.encoding.unit),
                )
                for i in graph.inputs
            ),
            populations=tuple(r.population for r in rounded),
            projections=tuple(by_name[p.name] for p in graph.projections),
            outputs=graph.outputs,
            boundary=graph.boundary,
            dt=None if graph.dt is None else Binary.of(graph.dt),
        )


def _check_size(what: str, size: float, layer: str) -> None:
    if size and not SIZES[0] <= size <= SIZES[1]:
        largest = "smallest" if what == "threshold" and size < 1 else "largest"
        raise DoesNotFitError(
            f"the {largest} {what} is {size:.3g} in size; "
            f"{SIZES[0]:.1g} to {SIZES[1]:.1g} can be scaled to whole numbers",
            where=layer,
            fix="multiply the weights, biases, thresholds and resets of the layer by one factor",
        )


def _with_agreement(report: LayerReport, agreement: Mapping[str, float | None]) -> LayerReport:
    return replace(report, agreement=agreement.get(report.name))


def _work(graph: Network) -> Mapping[str, int]:
    """Return the weights into each population, which the time to round it goes with."""
    return {
        population.name: 1 + sum(p.map.numbers().size for p in graph.into(population.name))
        for population in graph.populations
    }
