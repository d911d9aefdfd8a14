"""`estimate`: energy and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from snn_deploy.deploy.api.given import data_for, deployment_of
from snn_deploy.errors import OptionError

if TYPE_CHECKING:
    from snn_deploy.deploy.early_estimate import EarlyEstimate
    from snn_deploy.deploy.results import EnergyEstimate


def estimate(
    artifact: Annotated[Any, Parameter(name="ARTIFACT")],
    /,
    *,
    input: Annotated[Any, Parameter(name="--input")],
    profile: str | None = None,
    neurobench: bool = False,
    bin_width: float | None = None,
    first: int = 0,
    samples: int | None = None,
) -> EnergyEstimate | EarlyEstimate:
    """Estimate energy and time: events counted in a simulation times published prices.

    $ snn-deploy estimate mnist-loihi2 --input digits.npz
    $ snn-deploy estimate mnist-loihi2 --input digits.npz --profile loihi1-davies
    $ snn-deploy estimate mnist-loihi2 --input digits.npz --profile my-chip.toml
    $ snn-deploy estimate mnist-loihi2 --input digits.npz --neurobench

    Time, hops and power at rest need a map of cores. Beside it stands the same network as an ANN
    and as an SNN by the papers' convention, which prices arithmetic alone.

    Args:
        artifact: Artifact folder, or a deployment.
        input: Data file (NPZ with `input`). From Python also an array, or arrays by name.
        profile: Table of prices, by name or as a TOML file; by default the target's.
        neurobench: Give NeuroBench's metrics too, of the integers and of the network as trained,
            which is run for them; not where samples are left early.
        bin_width: Seconds per step; the data file is then a recording of events.
        first: First sample.
        samples: Number of samples; by default all.

    Returns:
        Energy [J] per layer and kind of event, time of a step and a sample [s], memory [bit], with
        the ends between which they are taken to lie, and what is not in it.

    Raises:
        UnknownNameError: no table of prices has that name (SNN101).
        OptionError: no such samples, or `neurobench` of an artifact that leaves samples early
            (SNN102).
        FileMissingError: no such data file (SNN201).
        DataError: the data are not the network's (SNN208).
        ProfileError: the table of prices is none (SNN401).
        InputRangeError: a value lies outside what the program declares (SNN504).
        ArtifactDamagedError: the folder is no artifact, or a file was changed (SNN603).
    """
    from snn_deploy.deploy import analysis  # noqa: PLC0415

    deployment = deployment_of(artifact)
    chosen = data_for(deployment, input, bin_width, first, samples)
    if deployment.early_exit is not None:
        from snn_deploy.deploy import early_estimate  # noqa: PLC0415 - few artifacts need it

        if neurobench:
            raise OptionError(
                "NeuroBench's metrics are of whole samples, and this artifact leaves them early",
                where="--neurobench",
                fix="leave --neurobench out, or export without --exit-lead",
            )
        return early_estimate.estimate(deployment, chosen, profile)
    return analysis.estimate(deployment, chosen, profile, neurobench=neurobench)
