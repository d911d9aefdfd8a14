"""A program as a lava-dl `.net` file, which lava-dl's netx loads with the same states."""

import math
from dataclasses import dataclass

import numpy as np

from snn_deploy.backends.netx.chain import Chain, Link, chain_of
from snn_deploy.backends.netx.connections import kernel_of, matrices_of
from snn_deploy.backends.netx.features import LAVA
from snn_deploy.backends.netx.gate import reset_offset
from snn_deploy.backends.netx.hdf5 import FileLayer, Member, hdf5_bytes
from snn_deploy.backends.netx.neurons import Neurons, neurons_of
from snn_deploy.errors import UnsupportedError
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.maps import Convolution, Shape
from snn_deploy.ir.program import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNote:
    """One layer of the file, and where it came from."""

    index: int
    kind: str
    population: str
    """Empty: it is none."""

    shape: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What netx must be told, beside the file, for the program's states."""

    message_bits: int
    """Bits of an input value; 0: it sends 0 and 1."""

    reset_offset: int | None
    """Of the periodic reset that keeps biases from acting early; None: it needs none."""

    def call(self, path: str) -> str:
        """Return the expression that loads the file."""
        options = [f'net_config="{path}"']
        if self.message_bits:
            options.append(f"input_message_bits={self.message_bits}")
        if self.reset_offset is not None:
            options += ["reset_interval=STEPS", f"reset_offset={self.reset_offset}"]
        return f"netx.hdf5.Network({', '.join(options)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetFile:
    """A program as a `.net` file."""

    content: bytes
    layers: tuple[LayerNote, ...]
    loading: Loading
    findings: tuple[Finding, ...]


def write_net(program: Program) -> NetFile:
    """Return a program as a `.net` file. Same program, same bytes.

    Args:
        program: A chain of layers for `loihi2`: convolutions, then dense layers, each perhaps
            with a loop to itself.

    Raises:
        UnsupportedError: it is no chain, or has a feature that netx's processes lack.
        DoesNotFitError: a number that a file does not hold, or that netx would change.
    """
    chain = chain_of(program)
    files, notes, findings = list[FileLayer](), list[LayerNote](), list[Finding]()

    def add(layer: FileLayer, population: str, shape: Shape) -> None:
        notes.append(
            LayerNote(index=len(files), kind=layer.kind, population=population, shape=shape)
        )
        files.append(layer)

    shape = chain.entry.shape
    if not chain.links[0].is_image:
        shape = (math.prod(shape),)
    add(_layer("input", shape), "", shape)
    for link in chain.links:
        if not link.is_image and len(shape) > 1:
            shape = (math.prod(shape),)
            add(_layer("flatten", (*shape, 1, 1)), "", shape)
        neurons = neurons_of(program, link)
        findings += neurons.findings
        if link.is_image:
            layer, shape = _image(link, neurons, shape)
        else:
            layer, shape = _flat(link, neurons), (link.population.size,)
        add(layer, link.population.name, shape)
    offset = reset_offset(program, chain)
    loading = Loading(message_bits=_message_bits(chain), reset_offset=offset)
    return NetFile(
        content=hdf5_bytes(files),
        layers=tuple(notes),
        loading=loading,
        findings=(*findings, *_of_whole(chain, loading)),
    )


def _image(link: Link, neurons: Neurons, reads: Shape) -> tuple[FileLayer, Shape]:
    weight, linear = kernel_of(link)
    if reads != linear.in_shape:
        raise UnsupportedError(
            f"a convolution of values of shape {linear.in_shape}, which come in the shape {reads}; "
            "netx does not reshape them",
            where=link.way.name,
            fix=LAVA,
        )
    members = (*_geometry(linear), Member(path="weight", value=weight.astype(np.float32)))
    return _layer("conv", linear.out_shape, *members, *_neuron(neurons)), linear.out_shape


def _geometry(linear: Convolution) -> tuple[Member, ...]:
    """Return what describes a convolution; pairs are height, width."""
    channels, into = linear.weight.shape[0], linear.source[0]
    top, _, left, _ = linear.padding
    return (
        Member(path="inChannels", value=np.asarray(into)),
        Member(path="outChannels", value=np.asarray(channels)),
        Member(path="kernelSize", value=np.array(linear.weight.shape[2:])),
        Member(path="stride", value=np.array(linear.stride)),
        Member(path="padding", value=np.array([top, left])),
        Member(path="dilation", value=np.array(linear.dilation)),
        Member(path="groups", value=np.asarray(linear.groups)),
    )


def _flat(link: Link, neurons: Neurons) -> FileLayer:
    weight, back, delay = matrices_of(link)
    members = [
        Member(path="inFeatures", value=np.asarray(weight.shape[1])),
        Member(path="outFeatures", value=np.asarray(weight.shape[0])),
        Member(path="weight", value=weight.astype(np.float32)),
    ]
    if back is not None:
        members.append(Member(path="weight_rec", value=back.astype(np.float32)))
    if delay is not None:
        members.append(Member(path="delay", value=delay))
    kind = "dense" if back is None else "dense_rec"
    return _layer(kind, (weight.shape[0],), *members, *_neuron(neurons))


def _neuron(neurons: Neurons) -> tuple[Member, ...]:
    bias = () if neurons.bias is None else (Member(path="bias", value=neurons.bias),)
    return (
        *bias,
        Member(path="neuron/type", value="CUBA"),
        Member(path="neuron/iDecay", value=neurons.i_decay),
        Member(path="neuron/vDecay", value=neurons.v_decay),
        Member(path="neuron/vThMant", value=neurons.threshold),
        Member(path="neuron/refDelay", value=np.asarray(1)),
        Member(path="neuron/gradedSpike", value=np.asarray(False)),
    )


def _layer(kind: str, shape: Shape, *members: Member) -> FileLayer:
    return FileLayer(kind=kind, members=(Member(path="shape", value=np.array(shape)), *members))


def _message_bits(chain: Chain) -> int:
    """Return the bits, sign included, of what enters; 0: only 0 and 1 do."""
    low, high = chain.entry.low, chain.entry.high
    if low >= 0 and high <= 1:
        return 0
    if low >= 0:
        return high.bit_length()
    return max((-low - 1).bit_length(), high.bit_length()) + 1


def _of_whole(chain: Chain, loading: Loading) -> tuple[Finding, ...]:
    if loading.reset_offset is None:
        return ()
    late = [link.population.name for link in chain.links if link.start > 0]
    return (
        Finding(
            kind=Kind.RETIMED,
            layer="",
            amount=f"the biases of {', '.join(late)} act from step 0 on, and a reset clears what "
            "they did before their layer starts",
            reason="netx's LIF cannot start a bias late; load the file with reset_interval, at "
            f"least the steps of the run, and reset_offset={loading.reset_offset}",
        ),
    )
