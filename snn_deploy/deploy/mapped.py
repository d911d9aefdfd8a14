"""Maps a deployment to the cores of its chip, with the activity that data causes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snn_deploy.backends.protocol import find_backend
from snn_deploy.deploy import runs
from snn_deploy.deploy.core_choices import Choices, loads
from snn_deploy.deploy.data import Data
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.mapping import (
    Activity,
    CoreMap,
    Goal,
    map_front,
    map_program,
    measured,
)
from snn_deploy.errors import CoresError, OptionError
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.trace import COUNTS
from snn_deploy.ir.words import counted

SAMPLES = 16
"""Samples of the data that loads are measured on: means over many steps need no more."""

AUTO = "auto"
"""The word for as many cores as serve the goal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a user wants of a map of cores; see `api.export`."""

    cores: int | None = None
    """The most cores that it may take; None: as many as serve `optimize`."""

    optimize: Goal | None = None
    """What the number of cores is chosen for; None: latency."""

    chips: int | None = None
    """Chips that there are; None: as many as the largest board of the target has."""

    @classmethod
    def of(cls, cores: Any, optimize: Goal | None, chips: int | None) -> "Room":
        """Return what options say.

        Raises:
            OptionError: a number below 1, or no number; or a goal beside a number of cores.
        """
        given = None if str(cores).strip().lower() == AUTO else cores
        try:
            wanted = None if given is None else int(str(given))
        except ValueError:
            wanted = 0
        if wanted is not None and wanted < 1:
            raise OptionError(
                f"{cores} is no number of cores", where="--cores", fix="--cores auto, or --cores 8"
            )
        if chips is not None and chips < 1:
            raise OptionError(f"{chips} chips", where="--chips", fix="--chips 1")
        if wanted is not None and optimize is not None:
            raise OptionError(
                "--optimize says how the number of cores is chosen, and it is given",
                where="--optimize",
                fix="--cores auto, or leave --optimize out",
            )
        return cls(cores=wanted, optimize=optimize, chips=chips)

    @property
    def stated(self) -> bool:
        """Whether there is a bound that a network must fit into."""
        return self.cores is not None or self.chips is not None


ANY_ROOM = Room()


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


def mapped(deployment: Deployment, data: Data | None = None, room: Room = ANY_ROOM) -> Deployment:
    """Return a deployment with its map of cores, if its chip has cores and the network fits.

    Where it does not fit, and no bound is stated, a finding says what is short.

    Args:
        deployment: What is mapped.
        data: Samples that loads are measured on; None: all sources are taken to be equally active.
        room: How many cores and chips there are, and what their number is chosen for.

    Raises:
        CoresError: the network does not fit into the room that is stated.
        UnsupportedError: room is stated for a chip without cores.
    """
    if deployment.target.cores is None and room == ANY_ROOM:
        return deployment
    activity = None
    if data is not None and deployment.target.cores is not None:
        activity = activity_on(deployment, data)
    try:
        core_map = map_program(
            deployment.program,
            deployment.target,
            activity,
            cores=room.cores,
            optimize=room.optimize or Goal.LATENCY,
            chips=room.chips,
        )
    except CoresError as problem:
        if room.stated:
            raise
        return replace(deployment, findings=(*deployment.findings, *_short(problem)))
    return replace(deployment, core_map=core_map)


def _short(problem: CoresError) -> Iterator[Finding]:
    yield Finding(
        kind=Kind.SIMULATED,
        layer=problem.where,
        amount=problem.message,
        reason=f"it runs in simulators only; {problem.fix}",
    )


def choices(deployment: Deployment, data: Data | None = None) -> Choices:
    """Return the numbers of cores that a deployment can be mapped to, and what each gives.

    Args:
        deployment: What would be mapped.
        data: Samples that loads are measured on; None: all sources are taken to be equally active.

    Raises:
        CoresError: the network does not fit.
        UnsupportedError: the chip has no cores.
    """
    measurable = data is not None and deployment.target.cores is not None
    activity = activity_on(deployment, data) if measurable and data is not None else None
    points = map_front(deployment.program, deployment.target, activity)
    return Choices(measured=activity is not None, points=points)


def in_words(core_map: CoreMap) -> str:
    """Return a map of cores in two lines: how many, which is the slowest, what is used up first."""
    chips = f"{counted(core_map.chips, 'chip')} of {core_map.target}"
    board = f" ({core_map.board})" if core_map.board else ""
    fullest = max(
        (use for use in core_map.uses if use.limit is not None),
        key=lambda use: use.most / (use.limit or 1),
    )
    most = f"{fullest.most:,} of {fullest.limit:,} {fullest.resource.value.replace('-', ' ')}"
    return (
        f"{counted(len(core_map.cores), 'core')} on {chips}{board}; the fullest has {most}\n"
        f"the slowest takes {core_map.step_time * 1e-3:,.3f} us a step, {loads(core_map.measured)}"
    )
