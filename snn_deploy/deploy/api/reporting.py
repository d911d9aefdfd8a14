"""`report`: all that is known of a deployment, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from snn_deploy.deploy.api.given import check_no_part, data_for, deployment_of
from snn_deploy.errors import OptionError

if TYPE_CHECKING:
    from snn_deploy.deploy.report.model import Report


def report(
    artifact: Annotated[Any, Parameter(name="ARTIFACT")],
    /,
    *,
    input: Annotated[Any, Parameter(name="--input")] = None,
    output: Annotated[Any, Parameter()] = None,
    force: bool = False,
    dry_run: bool = False,
    bin_width: float | None = None,
    first: int = 0,
    samples: int | None = None,
) -> Report:
    """Collect all that is known of a deployment; with data also what runs show. Draw it as a page.

    $ snn-deploy report mnist-loihi2
    $ snn-deploy report mnist-loihi2 --input digits.npz --output report.html

    Layers, rounding, ranges, findings, the map of cores; with data spikes, states, energy, the
    reference simulator, and the network as trained. What was not measured is absent: without data
    it is what the artifact holds, measured on some of the calibration data of the export.

    Args:
        artifact: Artifact folder, or a deployment.
        input: Data file (NPZ with `input`). From Python also an array, or arrays by name.
        output: HTML file to write; it needs matplotlib and jinja2 (the extra `report`).
        force: Replace a file that is already there.
        dry_run: Do everything but write.
        bin_width: Seconds per step; the data file is then a recording of events.
        first: First sample.
        samples: Number of samples; by default all.

    Returns:
        All that the page shows; --json prints it.

    Raises:
        OptionError: no such samples, or samples of no data (SNN102).
        MissingLibraryError: a page is wanted, and what draws it is not installed (SNN103).
        FileMissingError: no such data file (SNN201).
        DataError: the data are not the network's (SNN208).
        InputRangeError: a value lies outside what the program declares (SNN504).
        OutputExistsError: the file is there, and `force` is not given (SNN601).
        CannotWriteError: the disk is full, permission is missing, ... (SNN602).
        ArtifactDamagedError: the folder is no artifact, or a file was changed (SNN603).
    """
    from snn_deploy.deploy import report_command  # noqa: PLC0415 - on demand

    if output is not None and not str(output):
        raise OptionError("an output file needs a name", where="--output", fix="--output FILE")
    if input is None:
        check_no_part("--input", bin_width=bin_width, first=first, samples=samples)
    page = None if output is None else Path(output)
    if page is not None:
        report_command.check(page, force=force, reads=[input])
    deployment = deployment_of(artifact)
    data = None if input is None else data_for(deployment, input, bin_width, first, samples)
    return report_command.report(deployment, data, output=page, force=force, dry_run=dry_run)
