"""What is known of every layer of a deployment, in one record: the data of reports.

Absent is what was not measured: without data there is no activity and no comparison with the
network as trained; of a network of integers there is no rounding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snn_deploy.deploy import analysis
from snn_deploy.deploy.against import compare, of_network
from snn_deploy.deploy.data import Data
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.divergence import LayerDivergence, Trains
from snn_deploy.deploy.results import LayerActivity, findings_text
from snn_deploy.deploy.table import aligned
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.program import Population, Role
from snn_deploy.ir.words import counted
from snn_deploy.quantize.ranges import Proof, prove


@dataclass(frozen=True, slots=True, kw_only=True)
class OneLayer:
    """What is known of one population and what drives it."""

    layer: str
    role: Role
    neurons: int
    weights: int
    """Stored in the projections into it, each once; a kernel of a convolution is stored once."""

    lag: int
    """Steps that it runs behind the network as trained [steps]."""

    unit: tuple[float, float]
    """Real value of a membrane of 1: smallest and largest over its neurons."""

    rounding: Mapping[str, Any] | None
    """What rounding did to it, as `LayerReport` has it; None: it was integers from the start, or
    is a helper that was not in the network."""

    proof: Proof
    """Whether an input can drive its registers beyond their range, in runs of `proven_steps`."""

    findings: tuple[Finding, ...]
    """Of it and of the projections into it."""

    activity: LayerActivity | None
    """On the data; None without data."""

    divergence: LayerDivergence | None
    """On the data, against the network as trained; None without data or without such a network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReports:
    """The result of `report`."""

    name: str
    target: str
    digest: str
    """Of the program."""

    samples: int | None
    """Of the data; None without data."""

    proven_steps: int | None
    """Steps of the runs that the proofs are about; None: any number."""

    layers: tuple[OneLayer, ...]
    findings: tuple[Finding, ...]
    """Of no single layer."""

    def __str__(self) -> str:
        data = "no data" if self.samples is None else counted(self.samples, "sample")
        rows: list[tuple[str, ...]] = [
            (
                *("layer", "neurons", "weights", "lag", "in range", "findings"),
                *("active", "mismatch", "alone"),
            )
        ]
        rows += [_row(layer) for layer in self.layers]
        used = [n for n in range(len(rows[0])) if any(row[n] for row in rows[1:])]
        table = aligned(
            [[row[n] for n in used] for row in rows],
            right=[place for place, n in enumerate(used) if n not in (0, 4)],
        )
        found = (*self.findings, *(f for layer in self.layers for f in layer.findings))
        title = f"{self.name} for {self.target}, program {self.digest[:12]}; {data}"
        return f"{title}\n\n{table}{findings_text(found)}"


def _row(layer: OneLayer) -> tuple[str, ...]:
    active = "" if layer.activity is None else f"{layer.activity.active:.1%}"
    whole = None if layer.divergence is None else layer.divergence.whole.trains
    alone = None if layer.divergence is None else layer.divergence.alone.trains
    return (
        layer.layer,
        f"{layer.neurons}",
        f"{layer.weights:,}",
        f"{layer.lag}",
        "proven" if layer.proof.proven else "not proven",
        f"{len(layer.findings)}",
        active,
        _mismatch(whole),
        _mismatch(alone),
    )


def _mismatch(trains: Trains | None) -> str:
    return "" if trains is None or trains.mismatch is None else f"{trains.mismatch:.2%}"


def report(deployment: Deployment, data: Data | None = None) -> LayerReports:
    """Return what is known of every layer; with `data` it is run on them, too."""
    activity: dict[str, LayerActivity] = {}
    divergence: dict[str, LayerDivergence] = {}
    if data is not None:
        run = analysis.simulate(deployment, data, "event")
        activity = {one.layer: one for one in run.activity}
        if deployment.nir is not None:
            compared = compare(deployment, data, of_network(deployment.network))
            divergence = {one.layer: one for one in compared.layers}
    rounding = {record["name"]: record for record in deployment.layers}
    program, steps = deployment.program, deployment.encoding.steps
    proofs = {proof.population: proof for proof in prove(program, deployment.target, steps)}
    owner = {projection.name: projection.target for projection in program.projections}
    owner |= {population.name: population.name for population in program.populations}

    def one(population: Population) -> OneLayer:
        name = population.name
        own = tuple(f for f in deployment.findings if owner.get(f.layer) == name)
        return OneLayer(
            layer=name,
            role=population.role,
            neurons=population.size,
            weights=sum(p.map.numbers().size for p in program.into(name)),
            lag=population.lag,
            unit=(float(population.units.min()), float(population.units.max())),
            rounding=rounding.get(name),
            proof=proofs[name],
            findings=own,
            activity=activity.get(name),
            divergence=divergence.get(name),
        )

    return LayerReports(
        name=program.name,
        target=program.target,
        digest=program.digest,
        samples=None if data is None else data.samples,
        proven_steps=steps,
        layers=tuple(one(population) for population in program.populations),
        findings=tuple(f for f in deployment.findings if f.layer not in owner),
    )
