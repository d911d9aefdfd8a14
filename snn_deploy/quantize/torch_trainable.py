"""Which programs torch can train: those of which `torch_forward` computes every field."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

import numpy as np

from snn_deploy.errors import UnsupportedError
from snn_deploy.ir.arithmetic import Arithmetic, Register
from snn_deploy.ir.maps import Sparse
from snn_deploy.ir.neuron import Fires, When
from snn_deploy.ir.program import Bias, Current, Floor, Population, Program, Projection, Reset

MATRIX = 2**26
"""Largest matrix that single synapses are written into [numbers]."""

UNDERSTOOD: Mapping[type[Any], frozenset[str]] = {
    Program: frozenset(
        [
            "name",
            "target",
            "arithmetic",
            "inputs",
            "populations",
            "projections",
            "outputs",
            "boundary",
            "dt",
        ]
    ),
    Arithmetic: frozenset(["current", "membrane", "decay_bits", "accumulator"]),
    Register: frozenset(["bits", "overflow"]),
    Population: frozenset(
        [
            "name",
            "shape",
            "decay",
            "current",
            "fires",
            "threshold",
            "compare",
            "max_spikes",
            "reset",
            "floor",
            "biases",
            "initial",
            "lag",
            "role",
            "unit",
            "unit_factor",
            "origin",
        ]
    ),
    Current: frozenset(["decay", "reads", "initial"]),
    Reset: frozenset(["kind", "amount", "when"]),
    Floor: frozenset(["value", "when"]),
    Bias: frozenset(["value", "into", "start"]),
    Projection: frozenset(["name", "source", "target", "map", "shift", "delay", "sign"]),
}
"""What `forward` computes of a program, by record; anything else must be left at its default."""


def check_trainable(program: Program) -> None:
    """Refuse what `forward` does not compute.

    Raises:
        UnsupportedError: with the population or projection, and what it has.
    """
    for owner, where in _records(program):
        beyond = list(_set_fields(owner, without=UNDERSTOOD[type(owner)]))
        if beyond:
            raise _refused(f"its {' and '.join(beyond)}", where)
    for population in program.populations:
        if population.fires not in (Fires.NEVER, Fires.BINARY, Fires.COUNT):
            raise _refused(f"its {population.fires.value} spikes", population.name)
        if population.reset.when not in (When.NOW, When.NEXT):
            raise _refused(f"its {population.reset.when.value} reset", population.name)
    for p in program.projections:
        linear = p.map
        if isinstance(linear, Sparse) and linear.out_size * linear.in_size > MATRIX:
            raise _refused(f"its {linear.out_size} x {linear.in_size} single synapses", p.name)


def _records(program: Program) -> Iterator[tuple[Any, str]]:
    yield program, program.name
    yield program.arithmetic, program.name
    yield program.arithmetic.current, program.name
    yield program.arithmetic.membrane, program.name
    if program.arithmetic.accumulator is not None:
        yield program.arithmetic.accumulator, program.name
    for population in program.populations:
        parts = (population.current, population.reset, population.floor)
        for part in (population, *parts, *population.biases):
            if part is not None:
                yield part, population.name
    for projection in program.projections:
        yield projection, projection.name


def _set_fields(owner: Any, *, without: frozenset[str]) -> Iterator[str]:
    """Yield the fields of a record, others than those `without`, that are not at their default."""
    for entry in fields(owner):
        if entry.name in without:
            continue
        make = entry.default_factory
        default = entry.default if make is MISSING else make()
        if default is MISSING or not np.array_equal(getattr(owner, entry.name), default):
            yield entry.name


def _refused(what: str, where: str) -> UnsupportedError:
    return UnsupportedError(
        f"{what} cannot be trained as integers",
        where=where,
        fix="compile_network with Options(weight_bits=...), which trains nothing",
    )
