"""Architecture files: which layers and neurons the weights of a state dict belong to.

A TOML file, read as data. Example:

    framework = "snntorch"                  # whose neurons; layers of torch.nn are always known
    input = [1, 28, 28]                     # of one sample in one step

    [[layers]]
    name = "conv1"                          # its tensors are conv1.weight and conv1.bias
    type = "Conv2d"
    stride = 2

    [[layers]]
    name = "lif1"                           # beta and threshold come from the state dict
    type = "Leaky"
    reset_mechanism = "zero"

A layer reads the one before it, or those that its `inputs` name; several add up. `fed_back`
names layers whose output of the step before adds up too. The type "Neurons" is a layer of
neurons in our own words: decay, threshold, reset ("none", "value", "subtract", "late-value",
"late-subtract"), compare, synapse_decay, fires = false for a readout, and others; a list of
numbers has one for each channel. `own.py` lists all that can be said of them.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.errors import FileDamagedError, FileMissingError, UnknownNodeError
from snn_deploy.frontends.arch.kinds import KINDS
from snn_deploy.frontends.arch.table import Table, check_integers
from snn_deploy.ir.codecs import Encode, EncodingChanges
from snn_deploy.ir.neuron import Decode
from snn_deploy.ir.paths import is_file
from snn_deploy.ir.sizes import allowed, higher

LARGEST_FILE = 2**20
"""Bytes of an architecture file."""

MOST_LAYERS = 10_000

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchLayer:
    """One entry of `layers`."""

    name: str
    type: str | None
    """None: what the pickled module has under that name."""

    inputs: tuple[str, ...] | None
    """None: the layer before it."""

    fed_back: tuple[str, ...]
    options: Mapping[str, Any]
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What an architecture file says."""

    framework: str
    input: tuple[int, ...]
    layers: tuple[ArchLayer, ...]
    output: str
    """Name of the layer that gives the output."""

    where: str
    dt: float | None = None
    """Seconds per step."""

    decode: Decode | None = None
    decode_weights: tuple[float, ...] | None = None
    """Of each step, where the decoder needs them."""

    bias_waits: bool = False
    """Whether a bias on a feedback path waits for what is fed back first."""

    ignore: tuple[str, ...] = ()
    """Tensors of the state dict, or their prefixes, that no layer needs."""

    encoding: EncodingChanges = field(default_factory=EncodingChanges)


def read_architecture(path: Path) -> Architecture:
    """Return what an architecture file says.

    Raises:
        FileMissingError: it cannot be read.
        FileDamagedError: it is no TOML, or has an entry that means nothing.
        UnknownNodeError: a framework or a layer that nobody knows.
    """
    if not is_file(path):
        raise FileMissingError("there is no such architecture file", where=str(path))
    try:
        with path.open("rb") as file:
            content = file.read(allowed(LARGEST_FILE) + 1)
    except OSError as error:
        raise FileMissingError(
            f"cannot read the architecture: {error.strerror}", where=str(path)
        ) from error
    return parse_architecture(content, path.name)


def parse_architecture(content: bytes, where: str) -> Architecture:
    """Return what the text of an architecture file says; see `read_architecture`."""
    if len(content) > allowed(LARGEST_FILE):
        raise FileDamagedError(
            f"an architecture of more than {allowed(LARGEST_FILE)} bytes is not read",
            where=where,
            fix=higher(len(content), LARGEST_FILE),
        )
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # also of numbers with thousands of digits
        raise FileDamagedError(f"the architecture is no TOML: {error}", where=where) from error
    check_integers(document, where)
    return _architecture(Table(document, where))


def _architecture(table: Table) -> Architecture:
    framework = table.take("framework", str, "torch")
    if framework not in KINDS:
        raise UnknownNodeError(
            f"{framework!r:.60} is no framework whose layers an architecture can name",
            where=table.where,
            fix=f"one of {', '.join(KINDS)}",
        )
    entries = table.take("layers", list, [])
    most = allowed(MOST_LAYERS)
    if not entries or len(entries) > most or not all(isinstance(e, dict) for e in entries):
        raise FileDamagedError(
            f"an architecture has 1 to {most} tables [[layers]]",
            where=table.where,
            fix=higher(len(entries), MOST_LAYERS) if len(entries) > most else "",
        )
    layers = tuple(_layer(index, entry, table.where) for index, entry in enumerate(entries))
    shape = table.wholes("input", ())
    if not shape:
        raise FileDamagedError(
            "an architecture says the shape of its input",
            where=table.where,
            fix="input = [channels, height, width], without batch and time",
        )
    dt = table.take("dt", (int, float), None)
    if dt is not None and not (math.isfinite(dt) and dt > 0):
        raise FileDamagedError(f"dt = {dt} is no time", where=table.where)
    made = Architecture(
        framework=framework,
        input=shape,
        layers=layers,
        output=table.take("output", str, layers[-1].name),
        where=table.where,
        dt=None if dt is None else float(dt),
        decode=table.word("decode", Decode),
        decode_weights=_decode_weights(table),
        bias_waits=table.take("bias_waits", bool, False),
        ignore=table.texts("ignore") or (),
        encoding=_encoding(Table(table.take("encoding", dict, {}), f"{table.where}: encoding")),
    )
    table.finish()
    return made


def _decode_weights(table: Table) -> tuple[float, ...] | None:
    weights = table.numbers_if_any("decode_weights")
    return None if weights is None else tuple(weights.ravel().tolist())


def _encoding(table: Table) -> EncodingChanges:
    changes = EncodingChanges(
        how=table.word("how", Encode),
        steps=table.take("steps", int, None),
        seed=table.take("seed", int, None),
        low=table.take("low", int, None),
        high=table.take("high", int, None),
        unit=table.take("unit", (int, float), None),
    )
    table.finish()
    return changes


def _layer(index: int, entry: dict[str, Any], where: str) -> ArchLayer:
    table = Table(dict(entry), f"{where}: layers[{index}]")
    name = table.take("name", str, f"{index}")
    inputs = table.texts("inputs")
    if inputs == ():
        raise FileDamagedError(
            "inputs = [] names no layer",
            where=f"{where}: {name}",
            fix="leave it out: a layer reads the one before it",
        )
    return ArchLayer(
        name=name,
        type=table.take("type", str, None),
        inputs=inputs,
        fed_back=table.texts("fed_back") or (),
        options=table.entries,
        where=f"{where}: {name}",
    )
