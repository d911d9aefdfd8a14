"""Thresholds of a network as trained, each times a factor: fewer spikes, or more."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snn_deploy.errors import OptionError, UnsupportedError
from snn_deploy.frontends import Imported
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.network import Population
from snn_deploy.ir.neuron import ResetKind, Tabled
from snn_deploy.ir.words import nearest

ALL = "*"
"""Name of the factor of all layers that are not named."""


def parse_thresholds(given: Any) -> Mapping[str, float]:
    """Return the factors that a text such as `1.1` or `lif1=1.2,lif2=0.9` says; mappings stay.

    Raises:
        OptionError: it says none, or a factor is not above 0.
    """
    if given is None:
        return {}
    factors: dict[str, float] = {}
    try:
        if isinstance(given, Mapping):
            factors = {str(name): float(factor) for name, factor in given.items()}
        else:
            for part in str(given).split(","):
                name, equals, number = part.rpartition("=")
                key = name.strip() if equals else ALL
                if not key or key in factors:
                    raise ValueError(part)
                factors[key] = float(number)
    except (TypeError, ValueError):
        factors = {ALL: -1.0}
    if not all(0 < factor < float("inf") for factor in factors.values()):
        raise OptionError(
            f"{given!r} says no factors of thresholds",
            where="--thresholds",
            fix="--thresholds 1.1, or --thresholds lif1=1.2,lif2=0.9",
        )
    return factors


def spiking(found: Imported) -> tuple[str, ...]:
    """Return the populations whose threshold can be moved."""
    return tuple(p.name for p in found.network.populations if _movable(p))


def _movable(population: Population) -> bool:
    constant = all(table.what is not Tabled.THRESHOLD for table in population.tables)
    return constant and population.fires.spiking


def with_thresholds(found: Imported, factors: Mapping[str, float]) -> Imported:
    """Return the network with its thresholds times `factors`, and a finding for each.

    A reset that subtracts the threshold moves along. The NIR file stays as it was trained.

    Raises:
        OptionError: a layer that is none.
        UnsupportedError: a layer whose threshold is a table over time, or that has none.
    """
    known = [p.name for p in found.network.populations]
    for name in factors:
        if name not in known and name != ALL:
            near = nearest(name, known) or known[0]
            raise OptionError(
                f"a threshold of {name!r}, but no layer has that name; there are "
                f"{', '.join(known)}",
                where="--thresholds",
                fix=f"--thresholds {near}={factors[name]:g}",
            )
    movable = spiking(found)
    for name in factors:
        if name in known and name not in movable:
            raise UnsupportedError(
                f"the threshold of {name} cannot be moved: it never fires, or its threshold "
                "changes over time",
                where=name,
                fix=f"--thresholds without {name}",
            )
    populations, findings = [], list(found.findings)
    for population in found.network.populations:
        factor = factors.get(population.name, factors.get(ALL, 1.0))
        if factor == 1 or population.name not in movable:
            populations.append(population)
            continue
        populations.append(_scaled(population, factor))
        findings.append(
            Finding(
                kind=Kind.CHANGED,
                layer=population.name,
                amount=f"the threshold is {factor:g} times the trained one",
                reason="--thresholds",
            )
        )
    network = replace(found.network, populations=tuple(populations))
    return replace(found, network=network, findings=tuple(findings))


def _scaled(population: Population, factor: float) -> Population:
    reset = population.reset
    if reset.kind is ResetKind.SUBTRACT and np.all(reset.amount == population.threshold):
        reset = replace(reset, amount=np.asarray(reset.amount * factor))
    return replace(
        population,
        threshold=np.asarray(population.threshold * factor),
        lower=np.asarray(population.lower * factor),
        reset=reset,
    )
