"""`simulate` and `verify`: the integer program runs, and is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from snn_deploy.deploy.api.given import data_for, deployment_of

if TYPE_CHECKING:
    from snn_deploy.deploy.outcomes import Verification
    from snn_deploy.deploy.real_verification import RealVerification
    from snn_deploy.deploy.results import Simulation


def simulate(
    artifact: Annotated[Any, Parameter(name="ARTIFACT")],
    /,
    *,
    input: Annotated[Any, Parameter(name="--input")],
    backend: str = "event",
    bin_width: float | None = None,
    first: int = 0,
    samples: int | None = None,
    time_limit: float | None = None,
) -> Simulation:
    """Run the integer program, and show activity and answers per layer and sample.

    $ snn-deploy simulate mnist-loihi2 --input digits.npz
    $ snn-deploy simulate cnn --input recording.bin --bin-width 0.001

    Args:
        artifact: Artifact folder, or a deployment.
        input: Data file (NPZ with `input`, perhaps `label`). From Python also an array
            [sample, step, ...shape], or arrays by name.
        backend: event, reference or lava.
        bin_width: Seconds per step; the data file is then a recording of events.
        first: First sample to run.
        samples: Number of samples to run; by default all.
        time_limit: Seconds after which Lava is stopped; by default 600.

    Returns:
        Activity per layer and the predicted classes.

    Raises:
        UnknownNameError: no such backend (SNN101).
        OptionError: no such samples, or a value that makes no sense (SNN102).
        FileMissingError: no such data file (SNN201).
        DataError: the data are not the network's (SNN208).
        InputRangeError: a value lies outside what the program declares (SNN504).
        BackendError: Lava is not there, took too long or failed (SNN501 to SNN503).
        ArtifactDamagedError: the folder is no artifact, or a file was changed (SNN603).
    """
    from snn_deploy.deploy import analysis  # noqa: PLC0415

    deployment = deployment_of(artifact)
    data = data_for(deployment, input, bin_width, first, samples)
    return analysis.simulate(deployment, data, backend, time_limit)


def verify(
    artifact: Annotated[Any, Parameter(name="ARTIFACT")],
    /,
    *,
    input: Annotated[Any, Parameter(name="--input")],
    against: str = "reference",
    model: Annotated[Any, Parameter()] = None,
    arch: Annotated[Any, Parameter()] = None,
    module: str | None = None,
    max_mismatch: float | None = None,
    max_drop: float | None = None,
    bin_width: float | None = None,
    first: int = 0,
    samples: int | None = None,
    time_limit: float | None = None,
) -> Verification | RealVerification:
    """Compare the integers, state by state, with other backends or with what was trained.

    $ snn-deploy verify mnist-loihi2 --input digits.npz --against reference,lava
    $ snn-deploy verify digits --input digits.npz --against network --max-drop 0.5
    $ snn-deploy verify digits --input digits.npz --against model --model net.pt

    Backends must agree with the event simulator on every state of every neuron and step. Against
    the network as trained (real values), or the model itself run by its framework, it counts the
    spikes that differ, and names in each layer the first one and its likely cause: that which,
    put back alone to what was trained, makes the difference go away. Integers are expected to
    differ from real values, so that by itself is no failure; limits make it one.

    Args:
        artifact: Artifact folder, or a deployment.
        input: Data file (NPZ with `input`). From Python also an array, or arrays by name.
        against: Backends, separated by commas; or network; or model.
        model: For --against model: the model file. From Python also the torch module.
        arch: As for export, if the artifact was exported with it.
        module: As for export, if the artifact was exported with it.
        max_mismatch: Exit with 3 if the spikes of a layer differ by more, as a share: 0.05 is 5 %.
        max_drop: Exit with 3 if more points of accuracy are lost; the data has labels then.
        bin_width: Seconds per step; the data file is then a recording of events.
        first: First sample to compare.
        samples: Number of samples to compare; by default all.
        time_limit: Seconds after which Lava is stopped; by default 600.

    Returns:
        Per backend the number of states compared, or the first difference: the command exits
        with 3 if there is one. Against network or model: spikes, causes and membranes of every
        layer; it exits with 3 only if a limit is exceeded.

    Raises:
        UnknownNameError: no such backend (SNN101).
        OptionError: options that contradict each other, or no such samples (SNN102).
        ModelError: the model cannot be read (SNN201 to SNN207), or the data cannot be used
            (SNN208).
        InputRangeError: a value lies outside what the program declares (SNN504).
        BackendError: Lava is not there, took too long or failed (SNN501 to SNN503).
        ArtifactDamagedError: the folder is no artifact, or a file was changed (SNN603).
    """
    from snn_deploy.deploy import against_command as real  # noqa: PLC0415
    from snn_deploy.deploy import analysis  # noqa: PLC0415
    from snn_deploy.deploy.against_model import Origin  # noqa: PLC0415

    deployment = deployment_of(artifact)
    names = [part.strip() for part in against.split(",") if part.strip()]
    limits = real.limits(max_mismatch, max_drop)
    origin = Origin(model=model, arch=arch, module=module)
    with_real_values = real.wanted(names, origin, limits)
    data = data_for(deployment, input, bin_width, first, samples)
    if with_real_values:
        return real.verify(deployment, data, names[0], origin, limits)
    return analysis.verify(deployment, data, names, time_limit)
