"""What a program may have and a `.net` file has no field for: refused by name, known or not."""

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any

import numpy as np

from snn_deploy.errors import UnsupportedError
from snn_deploy.ir.program import Program
from snn_deploy.targets import find_target

LAVA = "export with --target loihi2, whose run_lava.py runs every program"
"""The way out where a `.net` file has none: our own processes compute what netx's do not."""

NETX = "export with --target netx, which chooses numbers that a .net file holds"
"""The way out where the network can have a file, and only its numbers are others."""

CHIP = "loihi2"
"""The target whose arithmetic is that of netx's processes."""

KNOWN = frozenset(
    {
        "name", "target", "arithmetic", "inputs", "populations", "projections", "outputs",
        "boundary", "dt",
        "shape", "low", "high",
        "decay", "current", "fires", "threshold", "compare", "max_spikes", "reset", "floor",
        "biases", "initial", "lag", "role", "unit", "unit_factor", "origin",
        "source", "map", "shift", "delay", "sign",
        "reads", "kind", "amount", "when", "value", "into", "start",
    }
)  # fmt: skip
"""Fields of programs and their parts that the other modules of this folder look at, or that
change nothing that is computed. Any other one must be left at its default."""


def check_known(program: Program) -> None:
    """Refuse a program with anything that is not looked at.

    Raises:
        UnsupportedError: registers other than Lava's, or a feature that netx's LIF lacks.
    """
    if program.arithmetic != find_target(CHIP).arithmetic:
        raise UnsupportedError(
            f"the registers of {program.target} are not those of Lava's processes",
            where=program.name,
            fix=f"export for the chip of lava-dl: --target {CHIP}",
        )
    _check_fields(program, program.name)
    for part in (*program.inputs, *program.populations, *program.projections):
        _check_fields(part, part.name)
    for population in program.populations:
        held = (population.current, population.reset, *population.biases)
        for inner in (part for part in held if part is not None):
            _check_fields(inner, population.name)


def _check_fields(part: Any, where: str) -> None:
    for name in _unknown(part):
        raise UnsupportedError(
            f"it has {name.replace('_', ' ')}, which no layer of a .net file has",
            where=where,
            fix=LAVA,
        )


def _unknown(part: Any) -> Iterator[str]:
    for entry in fields(part):
        if entry.name not in KNOWN and not _is_default(getattr(part, entry.name), entry):
            yield entry.name


def _is_default(value: Any, entry: Field[Any]) -> bool:
    if entry.default is not MISSING:
        default = entry.default
    elif entry.default_factory is not MISSING:
        default = entry.default_factory()
    else:
        return False
    return value is default or bool(np.array_equal(value, default))
