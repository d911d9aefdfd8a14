"""Programs as bytes: one JSON document and one NPZ of arrays, no pickle, same program same bytes.

Layout of the JSON: {"schema": "snn-deploy/program/1", "program": the `Program` record}, where
enums are their values, a map has a "kind", and an array of more than one number is
{"array": key into the NPZ}; a single number stands itself.
"""

import io
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from snn_deploy.errors import ArtifactDamagedError, DeployError
from snn_deploy.ir.kinds import KINDS as NEURON_KINDS
from snn_deploy.ir.kinds import NeuronKind
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Sparse
from snn_deploy.ir.program import Program
from snn_deploy.ir.room import check_short
from snn_deploy.ir.schemas import Schema
from snn_deploy.ir.sizes import allowed, higher

SCHEMA = Schema(name="program")
KINDS: dict[str, type[Any]] = {"dense": Dense, "sparse": Sparse, "convolution": Convolution}
LARGEST_ARRAY = 2**31
"""Bytes that one array of a program file may unpack to."""


_NO_PROGRAM = (
    *(msgspec.MsgspecError, KeyError, TypeError, ValueError, OverflowError, IndexError),
    RecursionError,  # brackets nested too deeply
)
"""What msgspec and our types raise for a document that is not of a program."""

_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, KeyError),
    *(MemoryError, RuntimeError),  # a shape beyond memory; encryption or compression unknown
    *(tokenize.TokenError, SyntaxError),  # a header that is no Python literal
)
"""What zipfile and numpy raise for an array file whose bytes were changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramFiles:
    """The two files that hold a program."""

    json: bytes
    npz: bytes


def dump_program(program: Program) -> ProgramFiles:
    """Return the program's files. Equal programs give equal bytes."""
    arrays: dict[str, np.ndarray] = {}

    def encode(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            if value.ndim == 0:
                return int(value)
            key = f"a{len(arrays):04d}"
            arrays[key] = value
            return {"array": key}
        raise TypeError(type(value))  # pragma: no cover - a Program has nothing else

    document = {"schema": SCHEMA.label, "program": _plain(program, encode)}
    text = msgspec.json.format(msgspec.json.encode(document), indent=1)
    return ProgramFiles(json=text + b"\n", npz=pack(arrays))


def _plain(program: Program, encode: Any) -> Any:
    """Return the program as JSON types, maps and neurons tagged with their kind.

    What a later version added is left out where it has its default, so that a program that needs
    none of it has the same bytes in both.
    """
    tagged = msgspec.to_builtins(program, enc_hook=encode)
    for population, record in zip(program.populations, tagged["populations"], strict=True):
        if population.kind is not None:
            record["kind"] = {"kind": population.kind.tag, **record["kind"]}
    _shorten(tagged, "program")
    _shorten(tagged["arithmetic"], "arithmetic")
    for record in tagged["populations"]:
        _shorten(record, "population")
        for bias in record["biases"]:
            _shorten(bias, "bias")
        for current in (record["current"], *record.get("further", ())):
            if current is not None:
                _shorten(current, "current")
    for record in tagged["projections"]:
        _shorten(record, "projection")
    for record in tagged["outputs"]:
        _shorten(record, "output")
    for projection, record in zip(program.projections, tagged["projections"], strict=True):
        kind = next(k for k, cls in KINDS.items() if type(projection.map) is cls)
        record["map"] = {"kind": kind, **record["map"]}
    return tagged


_LATER: dict[str, dict[str, Any]] = {
    "program": {"period": 1},
    "arithmetic": {
        "decay": "multiply",
        "order": "decay-first",
        "sums": "together",
        "accumulator": None,
        "change": None,
    },
    "population": {
        **{key: [] for key in ("further", "gains", "tables")},
        **dict.fromkeys(("refractory", "window", "restart", "kind"), None),
        "lower": -1,
        "payload_shift": 0,
    },
    "bias": {"waits": False},
    "current": {"into_membrane": 1, "chain": None},
    "projection": {"into": None},
    "output": {"weights": None},
}
"""Fields that came after the first version of the schema, and their defaults as JSON."""


def _shorten(record: dict[str, Any], of: str) -> None:
    for key, default in _LATER[of].items():
        if record[key] == default or (default == [] and not record[key]):
            del record[key]


def load_program(files: ProgramFiles) -> Program:
    """Return the program in `files`.

    Raises:
        ArtifactDamagedError: the files are not a program of this schema.
    """
    arrays = unpack(files.npz)

    def decode(kind: type[Any], value: Any) -> Any:
        if kind is LinearMap:
            if not isinstance(value, dict) or value.get("kind") not in KINDS:
                raise ValueError(f"a map of kind {value!r:.40}")
            fields = {k: v for k, v in value.items() if k != "kind"}
            return msgspec.convert(fields, KINDS[value["kind"]], dec_hook=decode)
        if kind is NeuronKind:
            if not isinstance(value, dict) or value.get("kind") not in NEURON_KINDS:
                raise ValueError(f"neurons of kind {value!r:.40}")
            fields = {k: v for k, v in value.items() if k != "kind"}
            return msgspec.convert(fields, NEURON_KINDS[value["kind"]], dec_hook=decode)
        if isinstance(value, int):
            return np.asarray(value, np.int32)
        return arrays[value["array"]]

    try:
        document = SCHEMA.upgraded(msgspec.json.decode(files.json), "program.json")
        return msgspec.convert(document["program"], Program, dec_hook=decode)
    except DeployError:
        raise
    except _NO_PROGRAM as problem:
        raise ArtifactDamagedError(
            f"program.json does not describe a program: {problem}",
            fix="export the model again",
        ) from problem


def pack(arrays: dict[str, np.ndarray]) -> bytes:
    """Return `arrays` as an NPZ file; equal arrays give equal bytes, without a time stamp."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for key, array in arrays.items():
            entry = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            inner = io.BytesIO()
            np.lib.format.write_array(inner, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(entry, inner.getvalue())
    return buffer.getvalue()


def unpack(data: bytes, largest: int = LARGEST_ARRAY) -> dict[str, np.ndarray]:
    """Return the arrays of an NPZ file, none of which unpacks to more than `largest` bytes.

    Raises:
        ArtifactDamagedError: it is no NPZ, holds objects, or unpacks to too much.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                if entry.file_size > allowed(largest):
                    raise ArtifactDamagedError(
                        f"{entry.filename:.80} would unpack to {entry.file_size} bytes, "
                        f"at most {allowed(largest)} are read",
                        fix=higher(entry.file_size, largest),
                    )
        with np.load(io.BytesIO(data), allow_pickle=False) as npz:
            arrays = {key: npz[key] for key in npz.files}
    except _DAMAGED as problem:
        check_short(problem, len(data))
        raise ArtifactDamagedError(
            f"the array file is damaged: {problem}", fix="export the model again"
        ) from problem
    strange = [key for key, array in arrays.items() if not isinstance(array, np.ndarray)]
    if strange:
        raise ArtifactDamagedError(f"{strange[0]!r} in the array file is no array")
    return arrays
