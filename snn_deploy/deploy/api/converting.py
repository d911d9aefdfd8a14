"""`nir` and `netx`: files for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from snn_deploy.deploy.api.given import deployment_of, request_from
from snn_deploy.errors import OptionError

if TYPE_CHECKING:
    from snn_deploy.deploy.netx_command import NetxFile
    from snn_deploy.deploy.nir_command import NirFile


def nir(
    model: Annotated[Any, Parameter(name="MODEL")],
    /,
    *,
    output: Annotated[Any, Parameter()] = None,
    strict: bool = False,
    annotated: bool = False,
    dialect: str | None = None,
    dt: float | None = None,
    reset: str | None = None,
    compare: str | None = None,
    floor: float | None = None,
    arch: Annotated[Any, Parameter()] = None,
    module: str | None = None,
    force: bool = False,
    dry_run: bool = False,
    sample_shape: Any = None,
    name: str | None = None,
) -> NirFile:
    """Write a model as a NIR file, and say node by node what plain NIR can say of it.

    $ snn-deploy nir model.pt --output model.nir --strict
    $ snn-deploy nir cnn_sinabs.nir --dialect sinabs --output cnn.nir --annotated

    Plain NIR is read as explicit Euler steps: neurons fire above a threshold,
    send one spike a step and are reset to a value at once, and edges that close
    a loop carry the step before. Each node is exact, exact by decomposition into
    several plain nodes, metadata only, or unsupported.

    Args:
        model: As for export.
        output: File to write; by default none is written.
        strict: Write plain NIR without our metadata, which every tool can read alike, or refuse.
        annotated: Write the nearest nodes, and what they leave open into the metadata; the default.
        dialect: Framework that wrote the NIR file, where the file does not say.
        dt: Length of a step, as for export. Of a model that counts time in steps: the seconds
            that a step takes in a strict file, by default 1e-4.
        reset: As for export.
        compare: As for export.
        floor: As for export.
        arch: As for export.
        module: As for export.
        force: Replace a file that is already there.
        dry_run: Do everything but write.
        sample_shape: As for export.
        name: Name of the network; by default the file's.

    Returns:
        What plain NIR says of each node.

    Raises:
        OptionError: options that contradict each other, or a model of integers (SNN102).
        ModelError: the model cannot be read, or plain NIR cannot say it and `strict` is given
            (SNN201 to SNN207).
        OutputExistsError: the file is there, and `force` is not given (SNN601).
        CannotWriteError: the disk is full, permission is missing, ... (SNN602).
    """
    from snn_deploy.deploy import nir_command  # noqa: PLC0415 - on demand

    if strict and annotated:
        raise OptionError(
            "a file is either strict or annotated",
            where="--strict, --annotated",
            fix="give one of the two",
        )
    if output is not None and not str(output):
        raise OptionError("an output file needs a name", where="--output", fix="--output FILE")
    request = request_from(
        dialect=dialect,
        dt=dt,
        reset=reset,
        compare=compare,
        floor=floor,
        arch=arch,
        module=module,
        sample_shape=sample_shape,
        name=name,
    )
    return nir_command.write(
        model,
        request,
        manner=nir_command.Manner.STRICT if strict else nir_command.Manner.ANNOTATED,
        output=None if output is None else Path(output),
        force=force,
        dry_run=dry_run,
    )


def netx(
    artifact: Annotated[Any, Parameter(name="ARTIFACT")],
    /,
    *,
    output: Annotated[Any, Parameter()] = None,
    force: bool = False,
    dry_run: bool = False,
) -> NetxFile:
    """Write the integer program as a .net file, which lava-dl's netx loads.

    $ snn-deploy netx mnist-loihi2 --output mnist.net

    A .net file holds a chain of layers for Loihi 2: convolutions, then dense layers,
    each perhaps with a loop to itself. In Lava's fixed point netx gives every state of
    every step of the program. What a file cannot hold is refused, with the reason.

    Args:
        artifact: Artifact folder, or a deployment.
        output: File to write; by default none is written.
        force: Replace a file that is already there.
        dry_run: Do everything but write.

    Returns:
        The layers, how netx must load them, and the findings.

    Raises:
        UnsupportedError: the program is no chain of layers, or has what netx lacks (SNN301).
        DoesNotFitError: a number that a file does not hold, or that netx would change (SNN302).
        OutputExistsError: the file is there, and `force` is not given (SNN601).
        CannotWriteError: the disk is full, permission is missing, ... (SNN602).
        ArtifactDamagedError: the folder is no artifact, or a file was changed (SNN603).
    """
    from snn_deploy.deploy import netx_command  # noqa: PLC0415 - h5py on demand

    if output is not None and not str(output):
        raise OptionError("an output file needs a name", where="--output", fix="--output FILE")
    return netx_command.write(
        deployment_of(artifact),
        output=None if output is None else Path(output),
        force=force,
        dry_run=dry_run,
    )
