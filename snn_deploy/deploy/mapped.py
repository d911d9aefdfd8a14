"""Maps a deployment to the cores of its chip, with the activity that data causes."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from snn_deploy.backends.protocol import find_backend
from snn_deploy.deploy import runs
from snn_deploy.deploy.data import Data
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.mapping import Activity, Goal, map_program, measured
from snn_deploy.errors import CoresError
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.trace import COUNTS

SAMPLES = 16
"""Samples of the data that loads are measured on: means over many steps need no more."""


def activity_on(deployment: Deployment, data: Data) -> Activity:
    """Return how often each neuron of a deployment sends, on some samples of `data`."""
    program, backend = deployment.program, find_backend("event")
    values = sum(node.size for node in program.nodes)
    weights, found = [], []
    for block in runs.blocks(data.spread(SAMPLES), deployment, values):
        trace = backend.run(program, block.inputs, COUNTS)
        weights.append(block.samples)
        found.append(measured(program, block.inputs, trace))
    share = np.asarray(weights) / sum(weights)
    return Activity(
        rates={
            node.name: share @ np.stack([one.rates[node.name] for one in found])
            for node in program.nodes
        }
    )


def mapped(
    deployment: Deployment,
    data: Data | None = None,
    *,
    cores: int | None = None,
    optimize: Goal = Goal.LATENCY,
) -> Deployment:
    """Return a deployment with its map of cores, if its chip has cores and the network fits.

    Where it does not fit, a finding says what is short.

    Args:
        deployment: What is mapped.
        data: Samples that loads are measured on; None: all sources are taken to be equally active.
        cores: The most cores that it may take; None: as many as serve `optimize`.
        optimize: What the number of cores is chosen for.
    """
    if deployment.target.cores is None:
        return deployment
    activity = None if data is None else activity_on(deployment, data)
    try:
        core_map = map_program(
            deployment.program, deployment.target, activity, cores=cores, optimize=optimize
        )
    except CoresError as problem:
        return replace(deployment, findings=(*deployment.findings, *_short(problem)))
    return replace(deployment, core_map=core_map)


def _short(problem: CoresError) -> Iterator[Finding]:
    yield Finding(
        kind=Kind.SIMULATED,
        layer=problem.where,
        amount=problem.message,
        reason=f"it runs in simulators only; {problem.fix}",
    )
