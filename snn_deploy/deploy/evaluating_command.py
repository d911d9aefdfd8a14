"""The words of `evaluate` as values: how events are counted, which data are meant."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from snn_deploy.deploy.datasets.binning import Binning, Polarity, Sensor
from snn_deploy.deploy.datasets.opening import holds_steps, open_source
from snn_deploy.deploy.datasets.recordings import READERS
from snn_deploy.deploy.datasets.source import Entry, Request, Source
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.unheard import unheard
from snn_deploy.errors import OptionError, UnknownNameError
from snn_deploy.ir.codecs import Encode
from snn_deploy.ir.paths import is_folder


def binning(
    deployment: Deployment,
    *,
    step: float | None,
    steps: int | None,
    polarity: str,
    downscale: int,
    sensor: str | None,
    flatten: bool,
    binary: bool,
    from_first: bool,
) -> Binning:
    """Return how events become steps.

    Args:
        deployment: Its encoding may have a number of steps.
        step: Microseconds.
        steps: As in `Binning`, by default those of the encoding.
        polarity: One of `Polarity`.
        downscale: As in `Binning`.
        sensor: ROWSxCOLUMNS.
        flatten: As in `Binning`.
        binary: As in `Binning`.
        from_first: As in `Binning`.

    Raises:
        OptionError: a value is wrong.
        UnknownNameError: there is no such polarity.
    """
    known = [one.value for one in Polarity]
    if polarity not in known:
        raise UnknownNameError(
            f"no polarity is called {polarity!r}; there are {', '.join(known)}",
            where="--polarity",
            fix="--polarity channels",
        )
    return Binning(
        step=step,
        steps=deployment.encoding.steps if steps is None else steps,
        polarity=Polarity(polarity),
        downscale=downscale,
        sensor=None if sensor is None else _sensor(sensor),
        flatten=flatten,
        binary=binary,
        from_first=from_first,
    )


def _sensor(text: str) -> Sensor:
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() for side in sides):
        raise OptionError(
            f"a sensor of {text!r} is not ROWSxCOLUMNS", where="--sensor", fix="--sensor 34x34"
        )
    return int(sides[0]), int(sides[1])


def requested(
    deployment: Deployment, given: Any, how: Binning, labels: Path | str | None
) -> Source:
    """Return the data that are meant, opened.

    Raises:
        OptionError: they are events, and the program encodes values itself; or an option lacks,
            or says nothing of such data.
        FileMissingError: there is no such file.
        DataError: they cannot be used.
    """
    encoding, program = deployment.encoding, deployment.program
    recorded = isinstance(given, str | Path) and Path(given).suffix in READERS
    folder = isinstance(given, str | Path) and is_folder(Path(given))
    if encoding.how is not Encode.RECORDED and (recorded or folder):
        raise OptionError(
            f"a recording is not encoded by {encoding.how.value}",
            where=str(given),
            fix="export again with --encode recorded",
        )
    recorded_steps = encoding.how is Encode.RECORDED and program.dt is not None
    request = Request(
        path=Path(),
        inputs=tuple(Entry(name=entry.name, shape=entry.shape) for entry in program.inputs),
        labels=None if labels is None else Path(labels),
        binning=how,
        dt=float(program.dt) if recorded_steps and program.dt is not None else None,
    )
    source = open_source(given, request)
    if isinstance(given, str | Path) and holds_steps(Path(given)):
        _check_unused(replace(how, steps=None if how.steps == encoding.steps else how.steps))
    return source


def _check_unused(how: Binning) -> None:
    """Refuse options that say something of events, where the data are none.

    Raises:
        OptionError: one is stated; the length of a step is not one of them.
    """
    plain = Binning(step=how.step)
    for said in fields(how):
        if getattr(how, said.name) != getattr(plain, said.name):
            says = "says how events become steps, and these data are no events"
            raise unheard(said.name, says)
