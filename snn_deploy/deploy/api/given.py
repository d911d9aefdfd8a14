"""What the arguments of several commands become: an artifact, data, how a model is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from snn_deploy.deploy.unheard import unheard
from snn_deploy.errors import OptionError

if TYPE_CHECKING:
    from snn_deploy.deploy.data import Data
    from snn_deploy.deploy.deployment import Deployment
    from snn_deploy.deploy.request import Request


Hidden = Parameter(parse=False)
"""Of an argument that only Python can give."""


def load(artifact: Path | str) -> Deployment:
    """Return the deployment in an artifact folder; every file is checked against its digest.

    Args:
        artifact: The folder.

    Returns:
        What `export` returned when it wrote the folder.

    Raises:
        ArtifactDamagedError: it is no artifact, one of a newer schema, or a file was changed
            (SNN603).
    """
    from snn_deploy.deploy.deployment import read_deployment  # noqa: PLC0415

    return read_deployment(Path(artifact))


def request_from(*, arch: Any, sample_shape: Any, **how: Any) -> Request:
    """Return how a model is to be read, and perhaps exported: the fields of a `Request`."""
    from snn_deploy.deploy.request import Request, shape_of  # noqa: PLC0415 - numpy on demand

    return Request(
        arch=None if arch is None else str(arch),
        sample_shape=shape_of(sample_shape),
        **how,
    )


def deployment_of(artifact: Any) -> Deployment:
    """Return a deployment as it is, and the one in an artifact folder."""
    from snn_deploy.deploy.deployment import Deployment  # noqa: PLC0415

    return artifact if isinstance(artifact, Deployment) else load(artifact)


def check_no_part(option: str, **part: Any) -> None:
    """Refuse a part of data where no data are given.

    Args:
        option: That which gives them.
        part: What says which part, by argument; None or 0: it is left out.

    Raises:
        OptionError: one is stated.
    """
    for name, stated in part.items():
        if stated:
            says = "says something of data, and none are given"
            raise unheard(name, says, instead=f"{option} FILE, or ")


def data_for(
    deployment: Deployment, given: Any, bin_width: float | None, first: int, samples: int | None
) -> Data:
    """Return the samples `first` to `first + samples` of the data given to a command.

    Args:
        deployment: What the data is for.
        given: A file, an array, or arrays by name.
        bin_width: Seconds per step; `given` is then a recording of events.
        first: First sample.
        samples: Number of samples; None: all.

    Raises:
        OptionError: there are no such samples, or a recording is not what is encoded.
        DataError: the data cannot be read, or is not the network's.
    """
    from snn_deploy.deploy.data import Data, data_from, part_of, read_events  # noqa: PLC0415
    from snn_deploy.ir.codecs import Encode  # noqa: PLC0415
    from snn_deploy.ir.trace import Values  # noqa: PLC0415

    inputs = deployment.program.inputs
    if bin_width is None:
        data = data_from(given, tuple(entry.name for entry in inputs))
    else:
        if deployment.encoding.how is not Encode.RECORDED:
            raise OptionError(
                f"a recording is not encoded by {deployment.encoding.how.value}",
                where="--bin-width",
                fix="export again with --encode recorded",
            )
        if not isinstance(given, str | Path):
            raise OptionError(
                "arrays have steps already",
                where="bin_width",
                fix="leave bin_width out, or give the path of a recording",
            )
        shape = inputs[0].shape[-2:] if len(inputs[0].shape) == 3 else (34, 34)
        events = read_events(Path(given), bin_width, (shape[0], shape[1]))
        data = Data.of((Values(name=inputs[0].name, values=events[None]),))
    return data.part(first, first + part_of(data.samples, first, samples))
