"""From an ANN to a spiking network: rectifiers become integrate-and-fire neurons.

A neuron with a subtracting reset that is given z in every one of T steps fires close to T z / h
times, for 0 <= z <= h, its threshold: spikes of height h stand for the rectified z. Thresholds
come from data; so does everything else that makes few steps enough.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from snn_deploy.errors import DataError, OptionError, UnknownNodeError
from snn_deploy.frontends.ann import check_is_ann, entering, evaluate, shapes_of
from snn_deploy.frontends.convert.calibrate import Calibration, Neurons, ThresholdRule
from snn_deploy.frontends.convert.pools import (
    MaxPooling,
    is_max,
    rectified_first,
    without_max_pooling,
)
from snn_deploy.frontends.layers import Cell, LayerGraph, Rectifier, Scale
from snn_deploy.ir.codecs import Encode, Encoding, encode_rate, predict
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.network import Floor, Reset
from snn_deploy.ir.neuron import Decode, Fires, ResetKind
from snn_deploy.ir.words import counted


class Coding(Enum):
    """How the input's values become what the first layer is given, step by step."""

    CURRENT = "current"
    """The values themselves, in every step."""

    RATE = "rate"
    """In each step a spike with the value, 0..1, as probability."""

    TTFS = "ttfs"
    """One spike per value, the larger the earlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """How an ANN becomes a spiking network."""

    steps: int = 32
    """Steps per sample; thresholds are chosen for this number."""

    coding: Coding = Coding.CURRENT
    threshold: ThresholdRule = ThresholdRule.PERCENTILE
    percentile: float = 99.9
    """Of the activations of a layer: its threshold, where the rule is PERCENTILE."""

    initial: float = 0.5
    """Membrane before the first step, in thresholds: half makes spike counts round to nearest."""

    correct_bias: bool = False
    """Move the bias of each channel until its mean rate is the ANN's, layer by layer."""

    most_spikes: int = 1
    """Spikes that a neuron may send in one step."""

    max_pooling: MaxPooling = MaxPooling.DECOMPOSED

    levels: int = 31
    """Largest whole number that enters an integer program, where values enter as currents: 255
    is exact for pixels, 31 leaves three more bits for the weights of the first layer."""

    seed: int = 0
    """Of RATE coding."""

    def __post_init__(self) -> None:
        if self.coding is Coding.TTFS:
            raise OptionError(
                "time-to-first-spike coding needs neurons that fire once, thresholds that fall "
                "with time and a window of steps for each layer, which no network has here yet",
                where="coding",
                fix="coding=Coding.CURRENT or Coding.RATE",
            )
        for wrong, what, fix in (
            (self.steps < 1, f"{self.steps} steps", "steps=1 or more"),
            (
                not 0 < self.percentile <= 100,
                f"percentile {self.percentile:g}",
                "0 < percentile <= 100",
            ),
            (not 0 <= self.initial < 1, f"initial {self.initial:g}", "0 <= initial < 1"),
            (self.most_spikes < 1, f"most_spikes {self.most_spikes}", "most_spikes=1 or more"),
            (self.levels < 1, f"{self.levels} levels", "levels=1 or more"),
            (self.seed < 0, f"seed {self.seed}", "seed=0 or more"),
        ):
            if wrong:
                raise OptionError(f"no conversion has {what}", fix=fix)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedLayer:
    """One layer of neurons in place of a rectifier."""

    name: str
    threshold: float
    error: float
    """Of rates times threshold on the calibration data: root mean square, relative to that of the
    ANN's activations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A spiking network in place of an ANN."""

    graph: LayerGraph
    """Its outputs hold the ANN's, as membranes after the last step."""

    encoding: Encoding
    """How values become what enters it, step by step."""

    findings: tuple[Finding, ...]
    layers: tuple[ConvertedLayer, ...]


def convert(
    graph: LayerGraph,
    calibration: np.ndarray | Mapping[str, np.ndarray],
    options: Conversion | None = None,
) -> Converted:
    """Return the spiking network that an ANN becomes.

    Args:
        graph: Affine layers, rectifiers and poolings.
        calibration: Inputs like those to come, [sample, *shape]; by name where there are several.
        options: How; see `Conversion`.

    Raises:
        UnknownNodeError: the network is no ANN, or has a max-pooling that neurons cannot do.
        ShapeError: layers do not fit together.
        DataError: the calibration data does not fit the network.
        OptionError: a coding that is not there yet.
    """
    chosen = options or Conversion()
    check_is_ann(graph)
    ann = _prepared(graph, chosen)
    data = _calibration_data(graph, calibration)
    rectifiers = [n for n, node in ann.nodes.items() if isinstance(node.layer, Rectifier)]
    pools = [n for n, node in graph.nodes.items() if is_max(node)]
    pools = [n for n in pools if n in ann.nodes]
    outputs = list(ann.outputs.values())
    wanted = evaluate(ann, data, keep=[*rectifiers, *pools, *outputs])
    run = Calibration(
        graph=ann,
        inputs={
            name: _presented(values, chosen, n) for n, (name, values) in enumerate(data.items())
        },
        steps=chosen.steps,
        most_spikes=chosen.most_spikes,
        initial=chosen.initial,
    )
    layers, findings = [], []
    neurons: dict[str, Neurons] = {}
    ceilings = _ceilings(ann, rectifiers, chosen)
    for name in rectifiers:
        neurons[name] = made = run.choose(
            name,
            wanted[name],
            rule=chosen.threshold,
            percentile=chosen.percentile,
            ceiling=ceilings[name],
            correct_bias=chosen.correct_bias,
        )
        error = run.error(name, wanted[name])
        layers.append(ConvertedLayer(name=name, threshold=made.threshold, error=error))
        findings += _layer_findings(name, made, error, chosen.steps)
    findings += [_pool_finding(name, run.error(name, wanted[name]), chosen) for name in pools]
    findings += [_answer_finding(ann, run, wanted, chosen.steps)]
    encoding, rounded = _encoding(data, chosen)
    return Converted(
        graph=_spiking(ann, neurons, chosen),
        encoding=encoding,
        findings=(*findings, *rounded),
        layers=tuple(layers),
    )


def _ceilings(
    ann: LayerGraph, rectifiers: Sequence[str], options: Conversion
) -> dict[str, float | None]:
    """Return at what each rectifier is clipped.

    Raises:
        OptionError: one is not, and its threshold is to be that.
    """
    layers = {name: ann.nodes[name].layer for name in rectifiers}
    found = {n: layer.ceiling for n, layer in layers.items() if isinstance(layer, Rectifier)}
    without = [name for name, ceiling in found.items() if not ceiling]
    if without and options.threshold is ThresholdRule.CEILING:
        raise OptionError(
            f"{len(without)} of {counted(len(found), 'rectifier')} without a ceiling to be the "
            "threshold",
            where=without[0],
            fix="Hardtanh(0, c) or ReLU6 in its place, or another rule",
        )
    return found


def _prepared(graph: LayerGraph, options: Conversion) -> LayerGraph:
    """Return the same ANN without what neurons cannot do."""
    ann = rectified_first(graph)
    if options.max_pooling is MaxPooling.DECOMPOSED:
        return without_max_pooling(ann, shapes_of(ann))
    for name, node in ann.nodes.items():
        sources = [ann.nodes[s].layer for s in node.inputs if s in ann.nodes]
        spiking = len(node.inputs) == 1 and [type(s) for s in sources] == [Rectifier]
        if is_max(node) and not spiking:
            raise UnknownNodeError(
                "a max-pooling of values that are not a rectifier's cannot be the first spike of "
                "a window",
                where=name,
                fix="max_pooling=MaxPooling.DECOMPOSED",
            )
    if options.most_spikes > 1 and any(is_max(node) for node in ann.nodes.values()):
        raise OptionError(
            "max_pooling=any-spike pools neurons of one spike a step, not of "
            f"{options.most_spikes}",
            where="most_spikes",
            fix="most_spikes=1, or max_pooling=MaxPooling.DECOMPOSED",
        )
    return ann


def _calibration_data(
    graph: LayerGraph, calibration: np.ndarray | Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    if isinstance(calibration, np.ndarray):
        if len(graph.inputs) > 1:
            raise DataError(
                f"one array for the inputs {', '.join(graph.inputs)}", fix="give them by name"
            )
        calibration = dict.fromkeys(graph.inputs, calibration)
    data = {name: entering(graph, calibration, name).astype(np.float32) for name in graph.inputs}
    for name, values in data.items():
        if not np.all(np.isfinite(values)):
            raise DataError("a value of the calibration data is NaN or infinite", where=name)
    if len({len(values) for values in data.values()}) > 1:
        raise DataError("the inputs have different numbers of samples")
    return data


def _presented(values: np.ndarray, options: Conversion, stream: int) -> np.ndarray:
    """Return [sample, step or 1, *shape]: what enters; one step where all are the same."""
    if options.coding is Coding.CURRENT:
        return values[:, None]
    return encode_rate(values, options.steps, options.seed, stream=stream)


def _spiking(ann: LayerGraph, neurons: Mapping[str, Neurons], options: Conversion) -> LayerGraph:
    """Return the ANN with neurons in place of rectifiers, and membranes as outputs."""
    made = LayerGraph(inputs=dict(ann.inputs))
    names = {name: name for name in ann.inputs}
    heights: dict[str, float] = {}
    for name, node in ann.nodes.items():
        sources = [names[source] for source in node.inputs]
        pool = is_max(node)
        if name in neurons:
            constant = options.coding is Coding.CURRENT and _reads_only_inputs(ann, name)
            made.add(name, _cell(neurons[name], options, constant=constant), *sources)
            height = neurons[name].threshold
        else:
            # A max-pooling reads the spikes themselves; their height follows behind it.
            made.add(name, node.layer, *(node.inputs if pool else sources))
            height = heights[node.inputs[0]] if pool else 1.0
        names[name] = name
        if name in neurons or pool:
            heights[name] = height
            names[name] = made.add(f"{name}.height", Scale(factor=np.full((), height)), name)
    for output, source in ann.outputs.items():
        mean = np.full((), 1.0 / options.steps)
        made.add(f"{output}.mean", Scale(factor=mean), names[source])
        readout = Cell(decay=np.ones(()), fires=Fires.NEVER)
        made.outputs[output] = made.add(f"{output}.membrane", readout, f"{output}.mean")
        made.decodes[output] = Decode.MEMBRANE_END
    return made


def _reads_only_inputs(ann: LayerGraph, name: str) -> bool:
    """Return whether no rectifier is on the way from the inputs to a node."""
    pending, seen = list(ann.nodes[name].inputs), set(ann.nodes[name].inputs)
    while pending:
        node = ann.nodes.get(pending.pop())
        if node is None:
            continue
        if isinstance(node.layer, Rectifier):
            return False
        pending += [source for source in node.inputs if source not in seen]
        seen.update(node.inputs)
    return True


def _cell(neurons: Neurons, options: Conversion, *, constant: bool) -> Cell:
    """Return neurons, which may be given the same in every step.

    Those with a constant drive are kept from falling below 0. That moves no spike: where the
    drive is not positive they never fire, and where it is they never fall so low. But it keeps
    them from running out of a chip's membrane, for which all weights would have to shrink.
    """
    threshold = np.full((), neurons.threshold)
    return Cell(
        decay=np.ones(()),
        fires=Fires.COUNT if options.most_spikes > 1 else Fires.BINARY,
        max_spikes=options.most_spikes,
        threshold=threshold,
        reset=Reset(kind=ResetKind.SUBTRACT, amount=threshold),
        bias=neurons.bias,
        floor=Floor(value=np.zeros(())) if constant else None,
        initial=np.full((), neurons.threshold * options.initial),
    )


def _layer_findings(name: str, made: Neurons, error: float, steps: int) -> list[Finding]:
    if not made.active:
        return [
            Finding(
                kind=Kind.GUESSED,
                layer=name,
                amount=f"threshold {made.threshold:g}",
                reason="it is never active on the calibration data, which so says no threshold",
            )
        ]
    return [
        Finding(
            kind=Kind.CHANGED,
            layer=name,
            amount=f"activations off by {100 * error:.2g} % (root mean square) in "
            f"{counted(steps, 'step')}",
            reason="spike counts stand for activations; more steps bring them closer",
        )
    ]


def _pool_finding(name: str, error: float, options: Conversion) -> Finding:
    exact = options.max_pooling is MaxPooling.DECOMPOSED
    return Finding(
        kind=Kind.CHANGED,
        layer=name,
        amount=f"maxima off by {100 * error:.2g} % (root mean square)",
        reason="a max-pooling is decomposed into rectified differences, one neuron each"
        if exact
        else "any spike of a window is taken for its largest rate; "
        "max_pooling=decomposed is closer, with more neurons",
    )


def _answer_finding(
    ann: LayerGraph, run: Calibration, wanted: Mapping[str, np.ndarray], steps: int
) -> Finding:
    """Return how many answers on the calibration data are not the ANN's."""
    name, source = next(iter(ann.outputs.items()))
    answers, samples = wanted[source], len(wanted[source])
    kept = predict(run.mean(source).astype(np.float64)) == predict(answers.astype(np.float64))
    return Finding(
        kind=Kind.CHANGED,
        layer=name,
        amount=f"{int((~kept).sum())} of {counted(samples, 'sample')} are answered otherwise",
        reason=f"the ANN's output is approached in {counted(steps, 'step')}; measured on the "
        "calibration data",
    )


BYTE = 255
"""Largest number of eight bits: what pixels are, times their unit."""

ON_LATTICE = 1e-4
"""Distance from a whole number, in units, that float32 pixels may have."""


def _encoding(
    data: Mapping[str, np.ndarray], options: Conversion
) -> tuple[Encoding, tuple[Finding, ...]]:
    """Return how values enter: as whole numbers of a unit, and whether that rounds them."""
    if options.coding is Coding.RATE:
        return Encoding(how=Encode.RATE, steps=options.steps, seed=options.seed), ()
    largest = max(float(np.abs(values).max()) for values in data.values())
    signed = any(values.min() < 0 for values in data.values())
    pixels = largest <= BYTE and all(_on_lattice(values, 1.0) for values in data.values())
    reach = 2.0 * largest  # values to come may be larger than those seen
    if largest <= 1 or pixels:
        reach = 1.0 if largest <= 1 else float(BYTE)
    unit = reach / options.levels if reach > 0 else 1.0
    encoding = Encoding(
        how=Encode.CURRENT,
        steps=options.steps,
        low=-options.levels if signed else 0,
        high=options.levels,
        unit=unit,
    )
    if all(_on_lattice(values, unit) for values in data.values()):
        return encoding, ()
    finding = Finding(
        kind=Kind.ROUNDED,
        layer=", ".join(data),
        amount=f"values become multiples of {unit:.3g} in an integer program",
        reason=f"they enter as up to {options.levels}; larger numbers (levels=255 for pixels) "
        "leave fewer bits for the weights where membranes have few",
    )
    return encoding, (finding,)


def _on_lattice(values: np.ndarray, unit: float) -> bool:
    whole = values / unit
    return bool(np.all(np.abs(whole - np.rint(whole)) < ON_LATTICE))
