"""What a program may have and a `.net` file has no field for: refused by name, known or not."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

import numpy as np

from snn_deploy.errors import UnsupportedError
from snn_deploy.ir.program import (
    Bias,
    Current,
    Input,
    Population,
    Program,
    Projection,
    Reset,
)
from snn_deploy.targets import find_target

LAVA = "export with --target loihi2, whose run_lava.py runs every program"
"""The way out where a `.net` file has none: our own processes compute what netx's do not."""

NETX = "export with --target netx, which chooses numbers that a .net file holds"
"""The way out where the network can have a file, and only its numbers are others."""

CHIP = "loihi2"
"""The target whose arithmetic is that of netx's processes."""

KNOWN: Mapping[type, frozenset[str]] = {
    Program: frozenset(
        {
            "name", "target", "arithmetic", "inputs", "populations", "projections", "outputs",
            "boundary", "dt",
        }
    ),
    Input: frozenset({"name", "shape", "low", "high", "unit"}),
    Population: frozenset(
        {
            "name", "shape", "decay", "current", "fires", "threshold", "compare", "max_spikes",
            "reset", "floor", "biases", "initial", "lag", "role", "unit", "unit_factor", "origin",
        }
    ),
    Current: frozenset({"decay", "reads", "initial"}),
    Reset: frozenset({"kind", "amount", "when"}),
    Bias: frozenset({"value", "into", "start"}),
    Projection: frozenset({"name", "source", "target", "map", "shift", "delay", "sign", "into"}),
}  # fmt: skip
"""Fields that the other modules of this folder look at, or that change nothing that is computed.
Any other one must be left at its default, so that a feature to come is refused by its name."""


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
    parts: tuple[Input | Population | Projection, ...] = (*program.nodes, *program.projections)
    for part in parts:
        _check_fields(part, part.name)
    for population in program.populations:
        held = (population.current, population.reset, *population.biases)
        for inner in (part for part in held if part is not None):
            _check_fields(inner, population.name)


WORDS: Mapping[str, str] = {
    "further": "several synaptic currents",
    "gains": "a gain on what arrives",
    "refractory": "a refractory period",
    "window": "a window of steps in which it may fire",
    "restart": "a restart",
    "tables": "parameters that change from step to step",
    "kind": "neurons of another kind",
    "waits": "a bias that waits for the first input",
    "into_membrane": "a current that the membrane subtracts or ignores",
    "period": "phases",
}
"""What a field is called where it is refused; others are called as they are."""


def _check_fields(part: Any, where: str) -> None:
    for name in _unknown(part):
        raise UnsupportedError(
            f"it has {WORDS.get(name, name.replace('_', ' '))}, which no layer of a .net file has",
            where=where,
            fix=LAVA,
        )


def _unknown(part: Any) -> Iterator[str]:
    for entry in fields(part):
        if entry.name not in KNOWN[type(part)] and not _is_default(
            getattr(part, entry.name), entry
        ):
            yield entry.name


def _is_default(value: Any, entry: Field[Any]) -> bool:
    if entry.default is not MISSING:
        default = entry.default
    elif entry.default_factory is not MISSING:
        default = entry.default_factory()
    else:
        return False
    return value is default or bool(np.array_equal(value, default))
