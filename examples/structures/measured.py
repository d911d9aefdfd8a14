"""What is measured of a structure, from import to energy, with the seconds and memory it takes."""

import os
import re
import resource
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from shared import Structure, built, samples
from stated import compared
from torch import nn

import snn_deploy
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.operations import reached
from snn_deploy.errors import DeployError
from snn_deploy.frontends import Imported, load
from snn_deploy.ir.findings import Finding, Kind

TARGET = "loihi2"
"""The chip whose integers are verified and priced."""

BITS = 8
"""Of a weight."""

PLAIN = "plain"
"""The preset that searches for nothing."""

LAVA_LIMIT = 900.0
"""Seconds after which Lava is stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came of one structure."""

    structure: str
    file: str
    neurons_of: str
    quick: bool
    width: int
    steps: int
    note: str
    refused: str = ""
    """Number of the error with which it was refused; empty: it was read."""

    reason: str = ""
    """What that error says, and its way out."""

    neurons: int = 0
    synapses: int = 0
    """Of the integers, each connection that is not 0."""

    spikes: int = 0
    """That the training code's own forward pass sends, of all neurons on one sample."""

    different_spikes: int = 0
    """Neurons that send otherwise as they were read."""

    same_answers: bool = False
    least_active: float = 0.0
    most_active: float = 0.0
    """Share of neurons and steps with a spike, of the least and the most active layer [%]."""

    nir_again: bool = False
    """The annotated file, read again, gives the same file and the same network."""

    strict: str = ""
    """Empty: plain NIR says it; else why not."""

    states: int = 0
    """Of integers that the simulators agreed on."""

    bit_exact: bool = False
    native: str = ""
    """`native`, or what the chip's stock neurons lack."""

    lava: str = ""
    """`equal`, `differs`, or why it was not run."""

    lava_width: int = 0
    fits: Mapping[str, str] = field(default_factory=dict)
    """Cores and chips, or what is short, by target."""

    spikes_integers: float = 0.0
    """A sample, of all neurons."""

    overflows: int = 0
    """Times that a register of the integers wrapped or saturated."""

    accuracy: str = ""
    """Share of right answers, where the network was trained."""

    energy: float = 0.0
    energy_low: float = 0.0
    energy_high: float = 0.0
    """[J a sample]"""

    import_seconds: float = 0.0
    export_seconds: float = 0.0
    reference_seconds: float = 0.0
    """CPU time of one core; the last of both simulators, on one sample."""

    memory: float = 0.0
    """The most that the process held until the end of the export [GB]."""


def take(structure: Structure, *, quick: bool) -> Row:
    """Return what comes of one structure; quick: narrow, without Lava and Loihi 1."""
    width = structure.narrow if quick else structure.width
    about: dict[str, Any] = {
        "structure": structure.name,
        "file": structure.file,
        "neurons_of": structure.neurons,
        "quick": quick,
        "width": width,
        "steps": structure.steps,
        "note": structure.note,
    }
    module, given = built(structure, width), samples(structure, 1)
    begun = time.process_time()
    try:
        found = read(structure, module, given)
        read_in = time.process_time() - begun
        return Row(
            **about,
            **_network(structure, module, found, given[0]),
            **_integers(structure, module, found, given, quick=quick),
            import_seconds=read_in,
        )
    except DeployError as error:
        if error.code != structure.refused:
            raise
        reason = f"{error.message}; way out: {error.fix}"
        return Row(**about, refused=error.code, reason=reason)


def read(structure: Structure, module: nn.Module, given: np.ndarray) -> Imported:
    """Return the network of a module, read by a run or as it is stated."""
    if structure.graph is not None:
        return load(structure.graph(module))
    return load(module, sample=given[0])


def _network(
    structure: Structure, module: nn.Module, found: Imported, sample: np.ndarray
) -> dict[str, Any]:
    """Return what the network of real numbers shows."""
    shown = compared(structure, module, found, sample)
    again = load(found.nir_bytes)
    return {
        "neurons": sum(population.size for population in found.network.populations),
        "spikes": shown.spikes,
        "different_spikes": shown.different,
        "same_answers": shown.same_answers,
        "least_active": 100 * min(shown.active),
        "most_active": 100 * max(shown.active),
        "nir_again": again.nir_bytes == found.nir_bytes and same(again, found),
        "strict": strict(found),
    }


def same(one: Imported, other: Imported) -> bool:
    """Return whether two networks are the same in every number."""
    from snn_deploy.ir.text import print_network  # noqa: PLC0415

    def numbers(found: Imported) -> list[bytes]:
        projections = sorted(found.network.projections, key=lambda p: p.name)
        stages = (getattr(p.map, "stages", (p.map,)) for p in projections)
        return [stage.numbers().tobytes() for each in stages for stage in each]

    text = print_network(one.network) == print_network(other.network)
    return text and numbers(one) == numbers(other)


def strict(found: Imported) -> str:
    """Return why plain NIR does not say a network; empty: it does."""
    try:
        snn_deploy.nir(found.graph, strict=True)
    except DeployError as refused:
        return refused.message
    return ""


def exported(structure: Structure, found: Imported, given: np.ndarray, target: str) -> Deployment:
    """Return a network as integers of 8 bits."""
    return snn_deploy.export(
        found.graph,
        target=target,
        encode="recorded",
        input_unit=1 / structure.levels,
        input_range=f"0:{structure.levels}",
        bits=BITS,
        preset=structure.exported,
        search=structure.exported != PLAIN,
        calibrate={"input": given},
    )


def _integers(
    structure: Structure, module: nn.Module, found: Imported, given: np.ndarray, *, quick: bool
) -> dict[str, Any]:
    """Return what the integers show."""
    data = {"input": given}
    begun = time.process_time()
    deployment = exported(structure, found, given, TARGET)
    export_seconds = time.process_time() - begun
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    begun = time.process_time()
    checked = snn_deploy.verify(deployment, input=data, against="reference")
    reference_seconds = time.process_time() - begun
    activity = snn_deploy.simulate(deployment, input=data).activity
    energy = snn_deploy.estimate(deployment, input=data)
    fits = {TARGET: fit(deployment)}
    for chip in structure.chips:
        if not quick and chip != TARGET:
            fits[chip] = fit_on(structure, found, chip)
    return {
        "synapses": sum(int(reached(p.map).sum()) for p in deployment.program.projections),
        "states": sum(each.states for each in checked.comparisons),
        "bit_exact": checked.equal,
        "native": native(deployment.findings),
        "lava": "" if quick else lava(structure),
        "lava_width": structure.lava_at or 0,
        "fits": fits,
        "spikes_integers": sum(layer.spikes for layer in activity),
        "overflows": checked.overflows,
        "accuracy": "" if structure.accuracy is None else structure.accuracy(module, deployment),
        "energy": energy.value,
        "energy_low": energy.low,
        "energy_high": energy.high,
        "export_seconds": export_seconds,
        "reference_seconds": reference_seconds,
        "memory": memory,
    }


def fit_on(structure: Structure, found: Imported, chip: str) -> str:
    """Return what `fit` says of a chip whose inputs may be spikes only: what enters is 0 or 1."""
    binary = replace(structure, levels=1)
    try:
        return fit(exported(binary, found, samples(binary, 1), chip))
    except DeployError as error:
        return f"no: {error.message}"


def fit(deployment: Deployment) -> str:
    """Return how many cores and chips a network takes, or what is short."""
    held = deployment.core_map
    if held is not None:
        return f"{len(held.cores):,} cores on {held.chips:,} chip{'s' if held.chips > 1 else ''}"
    short = [f for f in deployment.findings if "simulators only" in f.reason]
    return "no: " + "; ".join(f"{f.layer}: {f.amount}" for f in short)


def native(findings: Iterable[Finding]) -> str:
    """Return `native`, or what the chip's stock neurons lack; of many numbers the largest."""
    reasons = [f.reason for f in findings if f.kind is Kind.SIMULATED]
    largest: dict[str, str] = {}
    for reason in sorted(r for r in reasons if "simulators only" not in r):
        pattern = re.sub(r"\d+", "#", reason)
        largest[pattern] = max(largest.get(pattern, reason), reason, key=_numbers)
    return "; ".join(largest.values()) or "native"


def _numbers(reason: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", reason)]


def lava(structure: Structure) -> str:
    """Return what Lava says to the integers of the structure at its width for Lava."""
    if structure.lava_at is None:
        return structure.lava_why
    if "SNN_DEPLOY_LAVA_PYTHON" not in os.environ:
        return "no environment"
    given = samples(structure, 1)
    found = read(structure, built(structure, structure.lava_at), given)
    deployment = exported(structure, found, given, TARGET)
    checked = snn_deploy.verify(
        deployment, input={"input": given}, against="lava", time_limit=LAVA_LIMIT
    )
    return "equal" if checked.equal else "differs"
