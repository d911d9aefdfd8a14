"""lava-dl's `.net` files, read as the integer programs that lava-dl's netx makes of them in Lava.

A file is a chain of layers with whole numbers, so nothing is quantized here. Every connection
takes one step, as in Lava, and all layers start at step 0: no population has a lag. The one
exception is a file whose input layer has neurons: netx takes their bias for the input, which is
no connection. In the program they get one, into the membrane, so that all of it runs one step
behind netx, with a lag of 1.

What netx passes over in silence is a finding. Its `reset_interval` belongs to a run, not to the
file: a program starts each sample afresh instead.
"""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import h5py
import numpy as np

from snn_deploy.errors import (
    FileDamagedError,
    GraphError,
    OptionError,
    ShapeError,
    UnknownNodeError,
    UnsupportedError,
)
from snn_deploy.frontends.hdf5_reader import Hdf5File
from snn_deploy.frontends.lava_dl_fields import LARGEST_NUMBER, Fields
from snn_deploy.frontends.lava_dl_layers import Made, Way, bias, conv, dense, dense_rec, pool
from snn_deploy.frontends.lava_dl_neurons import read_neurons
from snn_deploy.ir.arithmetic import Arithmetic, Overflow, Register
from snn_deploy.ir.arrays import WHOLE
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.maps import Shape, Sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.netx import DECAY_BITS, STATE_SHIFT
from snn_deploy.ir.neuron import Decode, Fires
from snn_deploy.ir.program import Bias, Binary, Input, Population, Program, Projection, Sign
from snn_deploy.ir.words import counted

LAVA = Arithmetic(
    current=Register(bits=24, overflow=Overflow.WRAP_ONCE),
    membrane=Register(bits=24, overflow=Overflow.SATURATE),
    decay_bits=DECAY_BITS,
)
"""The registers that netx's layers have in Lava (lava-nc 0.10.0, proc/lif/models.py)."""

MOST_LAYERS = 10_000

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


@dataclass(frozen=True, slots=True, kw_only=True)
class NetProgram:
    """A lava-dl file as an integer program."""

    program: Program
    findings: tuple[Finding, ...]
    layers: tuple[NetLayer, ...]

    @property
    def behind(self) -> int:
        """Steps after which the first input can reach the output."""
        return self.layers[-1].behind


def read_net(
    content: bytes,
    *,
    name: str,
    where: str,
    target: str,
    arithmetic: Arithmetic,
    input_range: tuple[int, int] = (0, 1),
    input_shape: Shape | None = None,
    layers: int | None = None,
    decode: Decode | None = None,
    dt: float | None = None,
) -> NetProgram:
    """Return the program of a lava-dl file: what netx makes of it, in Lava's fixed point.

    Args:
        content: The bytes of the file.
        name: What to call the program.
        where: What to call the file in errors.
        target: Name of the chip that the program is for.
        arithmetic: The chip's registers; decays of 12 fraction bits or more.
        input_range: Smallest and largest value that may come. Beyond 0 and 1 it is what netx
            computes with `input_message_bits`.
        input_shape: Channels, height, width, or neurons, of one step's input, where the file
            has no input layer.
        layers: How many layers of the file to read, from its first on; None: all.
        decode: What the answer is. None: spike counts, or the last membrane where the last
            layer never fires.
        dt: Seconds per step, where they are known.

    Raises:
        FileDamagedError: not HDF5, of another layout, too large, or hostile.
        UnknownNodeError: a layer or neuron type that programs do not have.
        ShapeError: layers or parameters that do not fit together, or an unknown input shape.
        DynamicsError: a decay, threshold or delay that no neuron has.
        NotFiniteError: a NaN or an infinity.
        DoesNotFitError: a weight or bias that the chip does not store.
        GraphError: no layer with neurons, or an input layer behind others.
        UnsupportedError: the chip's decays are coarser than the file's.
        OptionError: an option that contradicts the file or itself.
    """
    if arithmetic.decay_bits < DECAY_BITS:
        raise UnsupportedError(
            f"decays of {DECAY_BITS} fraction bits, but {target} has {arithmetic.decay_bits}",
            where=where,
            fix="--target loihi",
        )
    if input_range[0] > input_range[1]:
        raise OptionError(f"an input range of {input_range[0]}..{input_range[1]} holds nothing")
    source = Hdf5File(where=where, image=content, kind="lava-dl files", writer="lava-dl's slayer")
    chain = _Chain(where=where, decay_bits=arithmetic.decay_bits, range=input_range)
    if input_shape is not None:
        chain.entry = chain.shape = input_shape
    with source.opened() as file:
        for index, layer in enumerate(_layer_groups(source, file, layers)):
            chain.add(index, layer)
    if not chain.populations:
        raise GraphError("no layer of the file has neurons", where=where)
    last = chain.populations[-1]
    answer = decode or (Decode.MEMBRANE_END if last.fires is Fires.NEVER else Decode.COUNT)
    program = Program(
        name=name,
        target=target,
        arithmetic=arithmetic,
        inputs=tuple(chain.inputs),
        populations=tuple(chain.populations),
        projections=tuple(chain.projections),
        outputs=(Output(name="output", population=last.name, decode=answer),),
        dt=None if dt is None else Binary.of(dt),
    )
    findings = (*chain.findings, *_of_whole(chain.behind, arithmetic, target))
    return NetProgram(program=program, findings=findings, layers=tuple(chain.layers))


def _layer_groups(source: Hdf5File, file: h5py.File, most: int | None) -> list[Fields]:
    """Return the groups of the layers that are to be read, by their numbers."""
    root = Fields(file=source, group=file, where=source.where, layer="")
    group = root.inner("layer")
    if group is None:
        raise FileDamagedError("an HDF5 file, but not one of lava-dl's", where=source.where)
    names = group.names
    if len(names) > MOST_LAYERS:
        raise FileDamagedError(
            f"{len(names)} layers; at most {MOST_LAYERS} are read", where=group.where
        )
    missing = sorted({str(index) for index in range(len(names))} - set(names))
    if missing:
        raise FileDamagedError(
            f"{counted(len(names), 'layer')}, but not numbered from 0 on", where=group.where
        )
    if most is not None and not 1 <= most <= len(names):
        raise OptionError(
            f"{counted(most, 'layer')} of a file that has {len(names)}", where=source.where
        )
    found = [group.inner(str(index)) for index in range(len(names) if most is None else most)]
    return [layer for layer in found if layer is not None]


def _of_whole(behind: int, arithmetic: Arithmetic, target: str) -> list[Finding]:
    """Return the findings that concern the whole network."""
    found = [
        Finding(
            kind=Kind.RETIMED,
            layer="",
            amount=f"the output comes {counted(behind, 'step')} after the input",
            reason="each connection takes a step, as in lava-dl; append so many steps of zeros to "
            "an input to see all of its answer",
        )
    ]
    if arithmetic != LAVA:
        found.append(
            Finding(
                kind=Kind.CHANGED,
                layer="",
                amount=f"the registers of {target} are not those of Lava",
                reason="what overflows in Lava gives other numbers here; --target loihi has the "
                "same registers",
            )
        )
    return found


@dataclass(slots=True, kw_only=True)
class _Chain:
    """The program as far as the layers were read."""

    where: str
    decay_bits: int
    range: tuple[int, int]
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
        self._populate(layer, made.shape, bias(layer, made.shape))
        self._join(f"{name}.weight", self.source, name, made.way)
        if made.recurrent is not None:
            self._join(f"{name}.weight_rec", name, name, made.recurrent)
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
        self._populate(layer, self.entry, None)
        without = self.populations[-1]
        assert without.current is not None
        if np.any(without.current.decay):
            layer.found(
                "its neurons have no current: the input goes into their membrane",
                "netx writes the input into their bias, which passes the current by",
            )
        self.populations[-1] = replace(without, current=None)
        self._join(f"{layer.layer}.one", self.source, layer.layer, _one_to_one(self.entry))
        self.behind, self.source = 1, layer.layer
        self._report_transform(layer)

    def _report_transform(self, layer: Fields) -> None:
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
                reason="netx writes the input into the bias of an input layer's neurons; here they "
                "have a connection, which takes a step",
            )
        )

    def _enter(self, shape: Shape) -> None:
        low, high = self.range
        self.inputs.append(Input(name="input", shape=shape, low=low, high=high))
        self.source = "input"

    def _populate(self, layer: Fields, shape: Shape, added: np.ndarray | None) -> None:
        neurons = read_neurons(layer, shape, self.decay_bits)
        biases = () if added is None else (Bias(value=added, start=self.lag),)
        self.populations.append(
            Population(
                name=layer.layer,
                shape=shape,
                decay=neurons.decay,
                current=neurons.current,
                fires=neurons.fires,
                threshold=neurons.threshold,
                reset=neurons.reset,
                biases=biases,
                lag=self.lag,
            )
        )

    def _join(self, name: str, source: str, target: str, way: Way) -> None:
        self.projections.append(
            Projection(
                name=name,
                source=source,
                target=target,
                map=way.map,
                shift=STATE_SHIFT,
                delay=way.delay,
                sign=way.sign,
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
    near = difflib.get_close_matches(kind, (*KNOWN, *REFUSED), n=1, cutoff=0.7)
    return UnknownNodeError(
        f"layer type {kind!r} is none of lava-dl's",
        where=layer.at("type"),
        fix=f"is {near[0]!r} meant?" if near else f"known are {', '.join(KNOWN)}",
    )
