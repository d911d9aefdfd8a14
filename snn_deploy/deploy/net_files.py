"""lava-dl's .net files as models: what may be asked of them, and their integers."""

from pathlib import Path
from typing import Any

from snn_deploy.deploy.request import Request, choose, range_of
from snn_deploy.deploy.unheard import unheard
from snn_deploy.frontends.lava_dl import NetProgram, read_net
from snn_deploy.ir.neuron import Decode
from snn_deploy.targets import Target

ONLY_NET = ("layers", "reset_interval", "reset_offset")
"""Options of an export that mean something for a network of integers, and for no other."""

OF_CORES = ("cores", "optimize", "chips")
"""Options of an export that say which cores hold the network."""

NET_OPTIONS = {"target", "decode", "dt", "input_range", "sample_shape", "name"}
NET_OPTIONS |= {*OF_CORES, *ONLY_NET}
"""Options of an export that mean something for a network of integers."""


def is_net(model: Any) -> bool:
    """Return whether a model is a file of lava-dl, which holds integers already."""
    return isinstance(model, str | Path) and Path(model).suffix.lower() == ".net"


def check_net(request: Request, *, calibrate: Any = None, sample: Any = None) -> None:
    """Refuse what says nothing about a file of integers.

    Raises:
        OptionError: the first such option.
    """
    given = {"calibrate": calibrate, "sample": sample}
    wrong = sorted(request.chosen.keys() - NET_OPTIONS)
    wrong += [name for name, value in given.items() if value is not None]
    if wrong:
        raise unheard(wrong[0], "says nothing about a .net file: it holds integers already")


def net_program(where: str, content: bytes, request: Request, target: Target) -> NetProgram:
    """Return the integers of a lava-dl file, as the request wants them."""
    return read_net(
        content,
        name=Path(where).stem if request.name is None else request.name,
        where=where,
        target=target.name,
        arithmetic=target.arithmetic,
        input_range=(0, 1) if request.input_range is None else range_of(request.input_range),
        input_shape=request.sample_shape,
        layers=request.layers,
        decode=choose(Decode, request.decode, "--decode"),
        dt=request.dt,
        reset_interval=request.reset_interval,
        reset_offset=request.reset_offset,
    )
