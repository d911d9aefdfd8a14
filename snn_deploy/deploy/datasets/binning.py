"""Events of a camera become whole numbers per step, polarity, row and column."""

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Int, Integer

from snn_deploy.deploy.data import LARGEST_ARRAY
from snn_deploy.errors import DataError, OptionError
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.sizes import allowed, or_higher

Sensor = tuple[int, int]
"""Rows and columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """The events of one recording."""

    time: Integer[np.ndarray, " event"]
    """In microseconds."""

    x: Integer[np.ndarray, " event"]
    y: Integer[np.ndarray, " event"]
    polarity: Integer[np.ndarray, " event"]
    """0: darker, 1: brighter."""

    sensor: Sensor | None = None
    """Where the recording says it."""


class Polarity(Enum):
    """Which events enter, and where."""

    CHANNELS = "channels"
    """Two channels: darker (0), brighter (1)."""

    MERGED = "merged"
    """One channel with both."""

    OFF = "off"
    """One channel: darker."""

    ON = "on"
    """One channel: brighter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binning:
    """How the events of a recording become steps: all of it stated, nothing guessed."""

    step: float | None = None
    """Microseconds of a step."""

    steps: int | None = None
    """Steps of each sample: shorter ones end in silence, later events are left out. None: as
    many as the recording has, where it is the only one."""

    polarity: Polarity = Polarity.CHANNELS
    downscale: int = 1
    """This many rows and columns become one."""

    sensor: Sensor | None = None
    """Where recordings do not say it."""

    flatten: bool = False
    """The input has one axis: [polarity, row, column] in C order."""

    binary: bool = False
    """All events of a bin count as one."""

    from_first: bool = False
    """Time begins with the first event of each recording."""

    def __post_init__(self) -> None:
        for wrong, message, option, fix in (
            (
                self.step is not None and not (math.isfinite(self.step) and self.step > 0),
                f"steps of {self.step} us",
                "--step-us",
                "--step-us 1000",
            ),
            (
                self.steps is not None and self.steps < 1,
                f"{self.steps} steps",
                "--steps",
                "--steps 300",
            ),
            (self.downscale < 1, f"a scale of {self.downscale}", "--downscale", "--downscale 2"),
            (
                self.sensor is not None and min(self.sensor) < 1,
                f"a sensor of {self.sensor}",
                "--sensor",
                "--sensor 34x34",
            ),
        ):
            if wrong:
                raise OptionError(f"events cannot be counted in {message}", where=option, fix=fix)

    def shape(self, sensor: Sensor) -> Shape:
        """Return the shape of a step of a sensor's events."""
        rows, columns = (-(-side // self.downscale) for side in sensor)
        channels = 2 if self.polarity is Polarity.CHANNELS else 1
        return (channels * rows * columns,) if self.flatten else (channels, rows, columns)


def sensor_of(recorded: Sensor | None, binning: Binning, shape: Shape | None) -> Sensor:
    """Return the rows and columns of the sensor.

    Where neither the recording nor the user says it, it is the one that the input `shape` is for,
    unless rows and columns are to be made fewer: then nothing says how many there were.

    Raises:
        OptionError: nobody says it.
    """
    if recorded is not None and binning.sensor is not None and recorded != binning.sensor:
        raise OptionError(
            f"the recording is of {_sides(recorded)}, not of {_sides(binning.sensor)}",
            where="--sensor",
            fix=f"--sensor {_sides(recorded)}, or leave it out",
        )
    said = recorded or binning.sensor
    if said is not None:
        return said
    if shape is None or len(shape) not in (2, 3) or binning.flatten or binning.downscale != 1:
        raise OptionError(
            "the recording does not say how many rows and columns the sensor has",
            where="--sensor",
            fix="--sensor ROWSxCOLUMNS, such as 34x34 for N-MNIST",
        )
    return shape[-2], shape[-1]


def step_of(binning: Binning, dt: float | None) -> float:
    """Return the microseconds of a step, those of a program whose steps last `dt` seconds.

    Raises:
        OptionError: nobody says it.
    """
    if binning.step is not None:
        return binning.step
    if dt is None:
        raise OptionError(
            "neither the program nor an option says how long a step is",
            where="--step-us",
            fix="--step-us 1000 counts events per millisecond",
        )
    return dt * 1e6


def steps_of(events: Events, step: float, binning: Binning) -> int:
    """Return how many steps a recording has.

    Raises:
        OptionError: so many that they take too much memory.
    """
    if binning.steps is not None:
        return binning.steps
    time = _time(events, binning)
    steps = math.floor(int(time.max()) / step) + 1 if time.size else 1
    values = math.prod(binning.shape(sensor_of(events.sensor, binning, (34, 34))))
    if steps * values * 4 > allowed(LARGEST_ARRAY):
        late = int(events.time.min())
        raise OptionError(
            f"steps of {step:g} us make {steps:,} of this recording, whose first event is at "
            f"{late:,} us; that is too much",
            where="--step-us",
            fix=or_higher(
                "--from-first, if time is to begin with the first event; --steps T; longer steps",
                steps * values * 4,
                LARGEST_ARRAY,
            ),
        )
    return steps


def bin_events(
    events: Events, binning: Binning, *, step: float, steps: int, shape: Shape | None, where: str
) -> tuple[Int[np.ndarray, "..."], int]:
    """Return the events per step [step, *shape], and how many came later than the last step.

    Args:
        events: Of one recording.
        binning: What is stated.
        step: Microseconds of a step.
        steps: Number of steps.
        shape: What the input reads in a step; None: whatever comes.
        where: The recording, for complaints.

    Raises:
        DataError: the shape of the input is another, or an event lies outside the sensor.
        OptionError: nobody says how large the sensor is.
    """
    rows, columns = sensor_of(events.sensor, binning, shape)
    made = binning.shape((rows, columns))
    expected = (1, *shape) if shape is not None and len(shape) == 2 else shape
    if expected is not None and made != expected:
        raise DataError(
            f"a step of these events has shape {made} (sensor {rows}x{columns}, polarity "
            f"{binning.polarity.value}), but the program reads {shape}",
            where=where,
            fix=_way_out(expected, (rows, columns), binning),
        )
    if events.x.size and (events.x.max() >= columns or events.y.max() >= rows):
        raise DataError(
            f"an event at x={events.x.max()}, y={events.y.max()} lies outside {columns} x {rows}",
            where=where,
            fix="--sensor ROWSxCOLUMNS, and --downscale N where the input is smaller",
        )
    time = _time(events, binning)
    at = np.floor(time / step).astype(np.int64)
    inside = at < steps
    late = int(np.count_nonzero(~inside))
    if binning.polarity in (Polarity.ON, Polarity.OFF):
        inside &= events.polarity == (binning.polarity is Polarity.ON)
    index = at[inside]
    if binning.polarity is Polarity.CHANNELS:
        index = index * 2 + events.polarity[inside]
    high, wide = (-(-side // binning.downscale) for side in (rows, columns))
    index = index * high + events.y[inside].astype(np.int64) // binning.downscale
    index = index * wide + events.x[inside].astype(np.int64) // binning.downscale
    counts = np.bincount(index, minlength=steps * math.prod(made)).astype(np.int32)
    if binning.binary:
        counts = np.minimum(counts, 1)
    return counts.reshape(steps, *(made if shape is None else shape)), late


def _time(events: Events, binning: Binning) -> Int[np.ndarray, " event"]:
    time = events.time.astype(np.int64)
    return time - time.min() if binning.from_first and time.size else time


def _sides(sensor: Sensor) -> str:
    return f"{sensor[0]}x{sensor[1]}"


def _way_out(expected: Shape, sensor: Sensor, binning: Binning) -> str:
    """Return the options that make the shape of the events that of the input, if any do."""
    for scale in range(1, max(sensor) + 1):
        for polarity in (binning.polarity, Polarity.CHANNELS, Polarity.MERGED):
            other = Binning(polarity=polarity, downscale=scale, flatten=len(expected) == 1)
            if other.shape(sensor) == expected:
                words = [
                    f"--downscale {scale}" if scale != binning.downscale else "",
                    f"--polarity {polarity.value}" if polarity is not binning.polarity else "",
                    "--flatten" if other.flatten and not binning.flatten else "",
                ]
                return " ".join(word for word in words if word)
    return "--downscale N, --polarity merged and --flatten change the shape of events"
