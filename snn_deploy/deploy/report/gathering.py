"""Collects what a report says of a deployment."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from snn_deploy.deploy.ranges import PopulationRange, ranges_of
from snn_deploy.deploy.report.cores import cores_of
from snn_deploy.deploy.report.model import Entry, Exit, Layer, Measured, Report, Source
from snn_deploy.deploy.report.neurons import dynamics_of
from snn_deploy.deploy.report.weights import histograms
from snn_deploy.deploy.version import version
from snn_deploy.ir.program import Program

if TYPE_CHECKING:
    from snn_deploy.deploy.deployment import Deployment


def gather(deployment: "Deployment", measured: Measured | None, missing: str = "") -> Report:
    """Return the report of a deployment.

    Args:
        deployment: What it is about.
        measured: What runs on data showed.
        missing: Why nothing was measured, where there was data.
    """
    program, found, rules = deployment.program, deployment.core_map, deployment.target.cores
    ranges = ranges_of(program, deployment.target, deployment.encoding.steps)
    return Report(
        version=version(),
        name=program.name,
        target=program.target,
        title=deployment.target.title,
        digest=program.digest,
        source=_source(deployment),
        findings=deployment.findings,
        layers=_layers(deployment, {one.population: one for one in ranges.populations}),
        proven_steps=ranges.steps,
        weights=histograms(deployment),
        cores=None
        if found is None or rules is None
        else cores_of(found, rules.mesh, [p.name for p in program.populations]),
        rounding=deployment.layers,
        measured=measured,
        missing=missing,
    )


def _source(deployment: "Deployment") -> Source:
    program = deployment.program
    return Source(
        sha256=deployment.model_digest,
        bytes=deployment.model_bytes,
        options=dict(deployment.configuration),
        encoding=deployment.encoding,
        dt=None if program.dt is None else float(program.dt),
        period=program.period,
        inputs=tuple(
            Entry(name=i.name, shape=i.shape, low=i.low, high=i.high, unit=float(i.unit))
            for i in program.inputs
        ),
        outputs=tuple(
            Exit(
                name=o.name,
                population=o.population,
                decode=o.decode,
                lag=program.population(o.population).lag,
            )
            for o in program.outputs
        ),
        pipeline=deployment.pipeline,
        decisions=deployment.decisions,
    )


def _layers(deployment: "Deployment", ranges: Mapping[str, PopulationRange]) -> tuple[Layer, ...]:
    program = deployment.program
    owner = owners(program)
    return tuple(
        Layer(
            layer=population.name,
            role=population.role,
            shape=population.shape,
            neurons=population.size,
            weights=sum(p.map.numbers().size for p in program.into(population.name)),
            lag=population.lag,
            unit=(float(population.units.min()), float(population.units.max())),
            dynamics=dynamics_of(population, program.arithmetic),
            range=ranges[population.name],
            findings=tuple(f for f in deployment.findings if owner.get(f.layer) == population.name),
        )
        for population in program.populations
    )


def owners(program: Program) -> dict[str, str]:
    """Return the population that each population and projection belongs to."""
    owner = {projection.name: projection.target for projection in program.projections}
    return owner | {population.name: population.name for population in program.populations}
