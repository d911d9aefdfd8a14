"""lava-dl's `.net` files, read as the integer programs that lava-dl's netx makes of them in Lava.

A file is a chain of layers with whole numbers, so nothing is quantized here. Every connection
takes one step, as in Lava, and all layers start at step 0: no population has a lag. The one
exception is a file whose input layer has neurons: netx takes their bias for the input, which is
no connection. In the program they get one, into the membrane, so that all of it runs one step
behind netx, with a lag of 1.

What netx passes over in silence is a finding. Its `reset_interval` belongs to a run, not to the
file: without it a program starts each sample afresh; with it, its integrators restart as netx's do.
"""

from dataclasses import dataclass

import h5py

from snn_deploy.errors import (
    FileDamagedError,
    GraphError,
    OptionError,
    UnsupportedError,
)
from snn_deploy.frontends.hdf5 import Hdf5File
from snn_deploy.frontends.lava_dl.chain import Chain, NetLayer
from snn_deploy.frontends.lava_dl.fields import Fields
from snn_deploy.ir.arithmetic import Arithmetic, Overflow, Register
from snn_deploy.ir.codecs import needs
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.network import Output
from snn_deploy.ir.netx import DECAY_BITS
from snn_deploy.ir.neuron import Decode, Fires
from snn_deploy.ir.program import Binary, Program
from snn_deploy.ir.sizes import allowed, higher
from snn_deploy.ir.words import counted

LAVA = Arithmetic(
    current=Register(bits=24, overflow=Overflow.WRAP_ONCE),
    membrane=Register(bits=24, overflow=Overflow.SATURATE),
    decay_bits=DECAY_BITS,
)
"""The registers that netx's layers have in Lava (lava-nc 0.10.0, proc/lif/models.py)."""

MOST_LAYERS = 10_000


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
    reset_interval: int | None = None,
    reset_offset: int = 0,
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
        reset_interval: Steps from one reset of the integrators to the next, as netx takes it;
            None: they are never reset.
        reset_offset: First step in which the first layer with neurons is reset, as netx takes it;
            each further layer is reset a step later.

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
    if reset_interval is not None and reset_interval < 1:
        raise OptionError(f"a reset every {reset_interval} steps", fix="an interval of 1 or more")
    source = Hdf5File(where=where, image=content, kind="lava-dl files", writer="lava-dl's slayer")
    chain = Chain(
        where=where,
        decay_bits=arithmetic.decay_bits,
        range=input_range,
        reset_interval=reset_interval,
        reset_offset=reset_offset,
    )
    if input_shape is not None:
        chain.entry = chain.shape = input_shape
    with source.opened() as file:
        for index, layer in enumerate(_layer_groups(source, file, layers)):
            chain.add(index, layer)
    if not chain.populations:
        raise GraphError("no layer of the file has neurons", where=where)
    last = chain.populations[-1]
    answer = decode or (Decode.MEMBRANE_END if last.fires is Fires.NEVER else Decode.COUNT)
    if needs(answer) not in last.states:
        raise OptionError(
            f"its last neurons have no {needs(answer).value} to read",
            where=last.name,
            fix=f"decode = {Decode.COUNT.value}",
        )
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
    if len(names) > allowed(MOST_LAYERS):
        raise FileDamagedError(
            f"{len(names)} layers; at most {allowed(MOST_LAYERS)} are read",
            where=group.where,
            fix=higher(len(names), MOST_LAYERS),
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
