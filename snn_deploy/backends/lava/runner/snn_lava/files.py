"""Reads the program and the plan that lie beside the runner, and input files."""

import json
from types import SimpleNamespace
from zipfile import BadZipFile

import numpy as np

PROGRAM_SCHEMA = "snn-deploy/program/1"
PLAN_SCHEMA = "snn-deploy/lava-plan/1"


def read_program(folder):
    """Return the program in `folder`: records as namespaces, parameters as arrays."""
    with np.load(folder / "program.npz", allow_pickle=False) as npz:
        arrays = {key: npz[key] for key in npz.files}

    def record(fields):
        if set(fields) == {"array"}:
            return arrays[fields["array"]]
        return SimpleNamespace(**fields)

    return _document(folder / "program.json", PROGRAM_SCHEMA, record).program


def read_plan(folder):
    """Return the plan in `folder`."""
    return _document(
        folder / "lava_plan.json", PLAN_SCHEMA, lambda fields: SimpleNamespace(**fields)
    )


def _document(path, schema, record):
    document = json.loads(path.read_text(encoding="utf-8"), object_hook=record)
    if document.schema != schema:
        raise SystemExit(f"{path.name}: schema {document.schema!r}, this runner reads {schema!r}")
    return document


def read_inputs(path, program):
    """Return {name: int32 array [sample, step, neuron]} from an NPZ file."""
    try:
        with np.load(path, allow_pickle=False) as npz:
            given = {key: npz[key] for key in npz.files}
    except (OSError, EOFError, ValueError, AttributeError, BadZipFile) as problem:
        raise SystemExit(f"{path} is no NPZ file of numbers: {problem}") from problem
    if len(program.inputs) == 1 and "input" in given:
        given.setdefault(program.inputs[0].name, given["input"])
    return {entry.name: _checked(given, entry) for entry in program.inputs}


def _checked(given, entry):
    if entry.name not in given:
        raise SystemExit(f"the file has no array {entry.name!r}; it has {', '.join(given)}")
    values = given[entry.name]
    if values.shape[2:] != tuple(entry.shape) or values.dtype.kind not in "iub":
        raise SystemExit(
            f"{entry.name}: {values.dtype} {values.shape}, but the program reads whole numbers "
            f"[sample, step, {', '.join(map(str, entry.shape))}]"
        )
    if values.size and not (values.min() >= entry.low and values.max() <= entry.high):
        raise SystemExit(
            f"{entry.name}: values {values.min()}..{values.max()}, "
            f"but the program declares {entry.low}..{entry.high}"
        )
    return values.reshape(*values.shape[:2], -1).astype(np.int32)


def random_inputs(program, steps, seed=0):
    """Return one sample of `steps` steps, drawn evenly from the declared ranges."""
    generator = np.random.default_rng(seed)
    return {
        entry.name: generator.integers(
            entry.low, entry.high, (1, steps, int(np.prod(entry.shape))), np.int32, endpoint=True
        )
        for entry in program.inputs
    }


def lag_of(program):
    """Return the steps that run beyond the steps of the input."""
    return max((population.lag for population in program.populations), default=0)
