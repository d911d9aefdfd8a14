"""The layers of a lava-dl file, one after another, as populations and projections."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from snn_deploy.errors import GraphError, OptionError, ShapeError, UnknownNodeError
from snn_deploy.frontends.lava_dl.fields import LARGEST_NUMBER, Fields
from snn_deploy.frontends.lava_dl.kinds import Kinded, read_input_delta, read_kind
from snn_deploy.frontends.lava_dl.layers import Made, Way, bias, conv, dense, dense_rec, pool
from snn_deploy.frontends.lava_dl.neurons import read_neurons
from snn_deploy.ir.arrays import WHOLE
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.maps import Shape, Sparse
from snn_deploy.ir.netx import STATE_SHIFT
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Bias, Input, Population, Projection, Sign
from snn_deploy.ir.timing import Restart
from snn_deploy.ir.words import meant

REFUSED = {
    "convT": "a transposed convolution",
    "unpool": "an unpooling",
    "average": "an average over groups of neurons, which is no spike",
    "concat": "a join of two branches, which a chain of layers cannot hold",
    "dense_comp": "a complex layer of resonators",
}
"""Layer types of lava-dl that neither netx nor a program can run."""

_WEIGHTED = ("type", "shape", "neuron", "weight", "bias", "delay")
_GEOMETRY = ("kernelSize", "stride", "padding", "dilation", "groups")
KNOWN = {
    "input": ("type", "shape", "neuron", "weight", "bias"),
    "flatten": ("type", "shape"),
    "dense": (*_WEIGHTED, "inFeatures", "outFeatures"),
    "dense_rec": (*_WEIGHTED, "inFeatures", "outFeatures", "weight_rec"),
    "conv": (*_WEIGHTED, *_GEOMETRY, "inChannels", "outChannels"),
    "pool": (*_WEIGHTED, *_GEOMETRY),
}
"""Fields of each layer type that are read, or only repeat what others say."""

READERS: Mapping[str, Callable[[Fields, Shape], Made]] = {
    "dense": dense,
    "dense_rec": dense_rec,
    "conv": conv,
    "pool": pool,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetLayer:
    """One layer of the file, and what became of it."""

    index: int
    kind: str
    """Its type in the file."""

    population: str
    """Name in the program; empty: the layer is no population of its own."""

    shape: Shape
    """Of what it gives: neurons, or channels, height, width."""

    neurons: str
    """What the file calls its neurons; empty: it has none."""

    behind: int
    """Steps after which the first input can reach it."""

    notes: tuple[str, ...] = ()
    """What one may want to know when comparing with lava-dl."""


@dataclass(slots=True, kw_only=True)
class Chain:
    """The program as far as the layers were read."""

    where: str
    decay_bits: int
    range: tuple[int, int]
    reset_interval: int | None
    reset_offset: int
    entry: Shape = ()
    """Shape of one step's input; without an axis it is not known yet."""

    shape: Shape = ()
    """Of what the last layer gives."""

    source: str = ""
    """Name of the population, or of the input, that gives it; empty: neither is there yet."""

    behind: int = 0
    """Steps after which the first input can reach the last layer."""

    lag: int = 0
    """Of every population."""

    inputs: list[Input] = field(default_factory=list)
    populations: list[Population] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    layers: list[NetLayer] = field(default_factory=list)

    def add(self, index: int, layer: Fields) -> None:
        """Read one more layer."""
        kind = layer.text("type")
        if kind not in KNOWN:
            raise _unknown(kind, index, layer)
        layer.layer, layer.findings = f"{kind}_{index}", self.findings
        layer.report_unused(KNOWN[kind])
        before, notes = len(self.populations), tuple[str, ...]()
        if kind == "input":
            self._input(layer)
        elif kind == "flatten":
            self.shape = (math.prod(self.shape),) if self.shape else ()
        else:
            notes = self._weighted(layer, READERS[kind](layer, self._reads(kind)))
        made = self.populations[before:]
        self.layers.append(
            NetLayer(
                index=index,
                kind=kind,
                population=made[0].name if made else "",
                shape=self.shape,
                neurons=_neuron_type(layer) if made else "",
                behind=self.behind,
                notes=notes,
            )
        )

    def _reads(self, kind: str) -> Shape:
        """Return the shape that comes; an input is flat where its first reader wants it so."""
        if self.shape and not self.source and kind in ("dense", "dense_rec"):
            return (math.prod(self.shape),)
        return self.shape

    def _weighted(self, layer: Fields, made: Made) -> tuple[str, ...]:
        """Add the neurons and connections of a layer with weights; return its notes."""
        declared = layer.shape()
        if math.prod(declared) != math.prod(made.shape) or (
            len(made.shape) > 1 and declared != made.shape
        ):
            raise ShapeError(
                f"the layer says {declared}, but its weights give {made.shape}",
                where=layer.at("shape"),
            )
        if not self.source:
            self._enter(self.entry or made.way.map.in_shape)
        name = layer.layer
        self._report_wrap(layer)
        added = bias(layer, made.shape)
        kinded = read_kind(layer, made.shape, added)
        if kinded is None:
            self._populate(layer, made.shape, added)
        else:
            self._populate_kind(layer, made.shape, kinded)
        shift = STATE_SHIFT if kinded is None else kinded.shift
        self._join(f"{name}.weight", name, made.way, shift=shift)
        if made.recurrent is not None:
            self._join(f"{name}.weight_rec", name, made.recurrent, shift=shift, source=name)
        if made.imaginary is not None:
            into = State.IMAGINARY
            self._join(f"{name}.weight/imag", name, made.imaginary, shift=shift, into=into)
        self.behind += int(made.way.delay.min())
        self.source, self.shape = name, made.shape
        return made.notes

    def _input(self, layer: Fields) -> None:
        """Read the first layer: the shape of the input, and perhaps neurons that it drives."""
        if self.layers:
            raise GraphError("an input layer behind other layers", where=layer.where)
        if layer.has("shape"):
            shape = layer.shape()
            if self.entry not in ((), shape):
                raise OptionError(
                    f"a sample shape of {self.entry} contradicts the file, which says {shape}",
                    where=layer.at("shape"),
                    fix="leave --sample-shape out",
                )
            self.entry = self.shape = shape
        if not layer.has("neuron"):
            return
        if not self.entry:
            raise ShapeError("neurons without a shape", where=layer.where)
        self._enter(self.entry)
        self.lag = 1
        kinded = read_input_delta(layer)
        if kinded is None:
            self._populate_input(layer)
        else:
            self._populate_kind(layer, self.entry, kinded)
        shift = STATE_SHIFT if kinded is None else kinded.shift
        one = _one_to_one(self.entry)
        self._join(f"{layer.layer}.one", layer.layer, one, shift=shift)
        self.behind, self.source = 1, layer.layer
        bias_is_input = "writes the input into the bias of"
        entry = bias_is_input if kinded is None else "leaves it to the caller to feed"
        self._report_transform(layer, entry)

    def _populate_input(self, layer: Fields) -> None:
        """Add integrators that the input drives past their current."""
        self._populate(layer, self.entry, None)
        without = self.populations[-1]
        assert without.current is not None
        if np.any(without.current.decay):
            layer.found(
                "its neurons have no current: the input goes into their membrane",
                "netx writes the input into their bias, which passes the current by",
            )
        self.populations[-1] = replace(without, current=None)

    def _report_wrap(self, layer: Fields) -> None:
        """Note what netx's convolutions do to large sums of graded values."""
        source = next((p for p in self.populations if p.name == self.source), None)
        if layer.text("type") == "conv" and source is not None and source.kind is not None:
            layer.found(
                "its sums are not wrapped at 24 bits",
                "Lava's Conv wraps them, which graded values can reach; the program does not",
                Kind.UNPROVEN,
            )

    def _report_transform(self, layer: Fields, entry: str) -> None:
        weight = layer.one("weight", -LARGEST_NUMBER) if layer.has("weight") else 64
        shift = layer.one("bias", -LARGEST_NUMBER) if layer.has("bias") else 0
        self.findings.append(
            Finding(
                kind=Kind.CHANGED,
                layer=layer.layer,
                amount=f"its transform {weight} * x + {shift} is not part of the program",
                reason="lava-dl's netx leaves it to the caller too: give transformed values, and "
                "their range",
            )
        )
        self.findings.append(
            Finding(
                kind=Kind.RETIMED,
                layer="",
                amount="everything is 1 step later than in lava-dl",
                reason=f"netx {entry} an input layer's neurons; here they have a connection, which "
                "takes a step",
            )
        )

    def _enter(self, shape: Shape) -> None:
        low, high = self.range
        self.inputs.append(Input(name="input", shape=shape, low=low, high=high))
        self.source = "input"

    def _populate(self, layer: Fields, shape: Shape, added: np.ndarray | None) -> None:
        neurons = read_neurons(layer, shape, self.decay_bits)
        biases = () if added is None else (Bias(value=added, start=self.lag),)
        restart = None
        if self.reset_interval is not None:
            offset = self.reset_offset + len(self.populations) + self.lag
            offset %= self.reset_interval
            restart = Restart(interval=self.reset_interval, offset=offset)
        self.populations.append(
            Population(
                name=layer.layer,
                shape=shape,
                decay=neurons.decay,
                current=neurons.current,
                fires=neurons.fires,
                threshold=neurons.threshold,
                reset=neurons.reset,
                restart=restart,
                biases=biases,
                lag=self.lag,
            )
        )

    def _populate_kind(self, layer: Fields, shape: Shape, kinded: Kinded) -> None:
        if self.reset_interval is not None:
            layer.found(
                "its neurons are not reset",
                "lava-dl's netx resets integrators only, and passes over all others",
            )
        none = np.zeros((), WHOLE)
        self.populations.append(
            Population(name=layer.layer, shape=shape, decay=none, kind=kinded.kind, lag=self.lag)
        )

    def _join(
        self,
        name: str,
        target: str,
        way: Way,
        *,
        shift: int,
        source: str = "",
        into: State | None = None,
    ) -> None:
        """Add a connection from `source`, or else from the layer before."""
        self.projections.append(
            Projection(
                name=name,
                source=source or self.source,
                target=target,
                map=way.map,
                shift=shift,
                delay=way.delay,
                sign=way.sign,
                into=into,
            )
        )


def _one_to_one(shape: Shape) -> Way:
    each = np.arange(math.prod(shape), dtype=WHOLE)
    linear = Sparse(
        post=each, pre=each, weight=np.ones_like(each), post_shape=shape, pre_shape=shape
    )
    return Way(map=linear, sign=Sign.EXCITATORY, delay=np.ones((), WHOLE))


def _neuron_type(layer: Fields) -> str:
    neuron = layer.inner("neuron")
    return "integrator" if neuron is None else neuron.text("type")


def _unknown(kind: str, index: int, layer: Fields) -> UnknownNodeError:
    if kind in REFUSED:
        return UnknownNodeError(
            f"layer type {kind} is {REFUSED[kind]}; neither netx nor a program runs it",
            where=layer.at("type"),
            fix=f"read_net(..., layers={index}) reads those before it" if index else "",
        )
    return UnknownNodeError(
        f"layer type {kind!r} is none of lava-dl's",
        where=layer.at("type"),
        fix=meant(kind, (*KNOWN, *REFUSED), f"known are {', '.join(KNOWN)}"),
    )
