"""`diff`: what differs between two programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from snn_deploy.deploy.api.given import check_no_part, data_for

if TYPE_CHECKING:
    from snn_deploy.deploy.data import Data
    from snn_deploy.deploy.deployment import Deployment
    from snn_deploy.deploy.diff import ProgramDiff


def diff(
    one: Annotated[Any, Parameter(name="ONE")],
    other: Annotated[Any, Parameter(name="OTHER")],
    /,
    *,
    data: Annotated[Any, Parameter(name=("--data", "--input"))] = None,
    profile: str | None = None,
    first: int = 0,
    samples: int | None = None,
) -> ProgramDiff:
    """Show what differs between two integer programs, part by part.

    $ snn-deploy diff mnist-loihi1 mnist-loihi2
    $ snn-deploy diff mnist-loihi2 mnist-4bit --data digits.npz

    Populations and projections that only one has; parameters, scales, lags and weights that
    differ, how many, by how much and where; of artifacts also target, encoding, options,
    findings, and the map of cores. With data also accuracy, spikes, and energy by kind of event.

    Args:
        one: Artifact folder, or a folder with program.json and program.npz. From Python also a
            deployment or a program.
        other: Another.
        data: Data file that both are run on. Without labels there is no accuracy. From Python
            also an array, or arrays by name.
        profile: Table of prices for both; by default each target's own.
        first: First sample.
        samples: Number of samples; by default all.

    Returns:
        The differences. The command exits with 3 unless both compute the same from the same
        data.

    Raises:
        OptionError: data for programs alone, prices without data, or no such samples (SNN102).
        FileMissingError: no such data file (SNN201).
        DataError: the data are not the networks' (SNN208).
        ProfileError: the table of prices is none (SNN401).
        ArtifactDamagedError: a folder is neither an artifact nor a program, or a file was changed
            (SNN603).
    """
    from snn_deploy.deploy import diff as programs  # noqa: PLC0415

    def reads(deployment: Deployment) -> Data:
        return data_for(deployment, data, None, first, samples)

    if data is None:
        check_no_part("--data", first=first, samples=samples)
    sides = programs.side(one), programs.side(other)
    return programs.diff(*sides, None if data is None else reads, profile)
