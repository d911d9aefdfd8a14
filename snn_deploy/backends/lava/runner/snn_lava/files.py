"""Reads the program and the plan that lie beside the runner, and input files."""

import json
from types import SimpleNamespace
from zipfile import BadZipFile

import numpy as np

from snn_lava.kinds import KINDS
from snn_lava.step import CURRENTS

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

    program = _document(folder / "program.json", PROGRAM_SCHEMA, record).program
    _complete(program)
    return program


LATER = {
    "arithmetic": {
        "decay": "multiply",
        "order": "decay-first",
        "sums": "together",
        "accumulator": None,
        "change": None,
    },
    "population": {
        "further": [],
        "gains": [],
        "tables": [],
        "refractory": None,
        "window": None,
        "restart": None,
        "kind": None,
        "lower": -1,
        "payload_shift": 0,
    },
    "bias": {"waits": False},
    "current": {"into_membrane": 1, "chain": None},
    "projection": {"into": None},
    "program": {"period": 1},
}
"""What a program file leaves out where it has its default."""

PARAMETERS = {
    *("decay", "threshold", "lower", "initial", "amount", "value", "multiplier"),
    *("current_decay", "threshold_decay", "refraction_decay", "base", "increase", "bias"),
    *("initial_current", "initial_membrane", "initial_refraction", "cosine", "sine"),
    *("initial_real", "initial_imaginary", "initial_sigma"),
}
"""Fields that hold one number, or one for each channel or neuron."""


def _complete(program):
    _fill(program, "program")
    _fill(program.arithmetic, "arithmetic")
    for population in program.populations:
        _fill(population, "population")
        for bias in population.biases:
            _fill(bias, "bias")
        for current in (population.current, *population.further):
            if current is not None:
                _fill(current, "current")
    for projection in program.projections:
        _fill(projection, "projection")


def _fill(record, of):
    for key, default in LATER[of].items():
        vars(record).setdefault(key, default)


def flat_population(population):
    """Return a copy of `population` with every parameter as int64 numbers, one per neuron.

    Rows of a table are [row, neuron].
    """

    def flat(value):
        return np.array(np.broadcast_to(value, population.shape), np.int64).ravel()

    def copied(record):
        return SimpleNamespace(**{key: made(key, value) for key, value in vars(record).items()})

    def made(key, value):
        if isinstance(value, SimpleNamespace):
            return copied(value)
        if isinstance(value, list) and value and isinstance(value[0], SimpleNamespace):
            return [copied(item) for item in value]
        if key == "rows":
            return np.stack([flat(row) for row in np.atleast_1d(value)])
        return flat(value) if key in PARAMETERS else value

    return copied(population)


def entry_of(program, projection):
    """Return the state that a projection drives."""
    if projection.into is not None:
        return projection.into
    target = next(p for p in program.populations if p.name == projection.target)
    if target.kind is not None:
        return ENTRIES[target.kind.kind]
    return "membrane" if target.current is None else "current"


ENTRIES = {
    "adaptive": "current",
    "resonator": "membrane",
    "sigma": "sigma",
    "delta": "activation",
    "sigma-delta": "sigma",
}
"""Where projections enter neurons of other kinds, if they do not say."""


def states_of(population):
    """Return the states that neurons have, payload included."""
    if population.kind is not None:
        return (*KINDS[population.kind.kind].states, "payload")
    currents = 0 if population.current is None else 1 + len(population.further)
    waits = any(bias.waits for bias in population.biases)
    return (
        *CURRENTS[:currents],
        "membrane",
        "payload",
        *(["countdown"] if population.refractory is not None else []),
        *(["started"] if waits else []),
    )


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
