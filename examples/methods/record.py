"""What a training method is, and what came of one."""

from collections.abc import Callable
from dataclasses import dataclass

from shared import Net, Task, mnist_task, plain

from snn_deploy.deploy.deployment import Deployment
from snn_deploy.frontends.layers import LayerGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A training method."""

    name: str
    key: str
    """Name of its file."""

    build: Callable[[Task], Net]
    train: Callable[[Net, Task], None]
    """Trains in place."""

    digits: float | None
    """Accuracy on the digits of 8 x 8 pixels that others measured with it [%]; None: nobody did, or
    it is not about images."""

    hazard: str
    """What could be lowered wrongly."""

    spoil: Callable[[LayerGraph], None]
    """Does it wrongly, so that verification must see it."""

    task: Callable[..., Task] = mnist_task
    """Takes `quick`."""

    baseline: Callable[[Net, Task], None] = plain
    """Training that the method is compared with, of the same network."""

    plain_net: Callable[[Task], Net] | None = None
    """Makes the network that the baseline trains; None: `build` does, its neurons are the same."""

    provisional: str = ""
    """Why the method itself is unverified; empty: it is as published."""

    levels: int | None = None
    """Of what enters; None: the pixels' own."""

    target: str = "loihi2"
    unlike: str = ""
    """Why the target is not Loihi 2."""

    further: Callable[[Net, Task], str] | None = None
    """Returns what else full runs show of the trained network."""

    judge: "Callable[[Method, Net, Task, Deployment], Judged] | None" = None
    """Says how good a network is; None: by its accuracy."""

    dilation: str | None = None
    """Steps of the chip for each of the network, a number or `auto`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How good a network is, trained by a method or otherwise, and as integers: by its accuracy on
    the test data [%], or by the error of what it gives, as a share of what it should give."""

    spikes: float
    """Of the integers: a sample, of all neurons."""

    float_accuracy: float | None = None
    plain_accuracy: float | None = None
    integer_accuracy: float | None = None
    float_error: float | None = None
    plain_error: float | None = None
    integer_error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came of the trip of one method."""

    method: str
    quick: bool
    task: str
    steps: int
    float_accuracy: float | None
    """None, as the others: the row is judged by an error."""

    plain_accuracy: float | None
    float_error: float | None = None
    plain_error: float | None = None
    integer_error: float | None = None
    digits_accuracy: float | None
    digits_goal: float | None
    provisional: str
    different_spikes: int
    different_answers: int
    compared: int
    nir_again: bool
    """The annotated file, read again, gives the same file and program."""

    strict: str
    """Empty: plain NIR says it; else why not."""

    target: str
    reason: str
    states: int
    """Of integers that the simulators agreed on."""

    bit_exact: bool
    native: str
    """`native`, or what the chip's stock neurons lack."""

    lava: str
    integer_accuracy: float | None
    spikes: float
    """A sample, of all neurons."""

    energy: float
    energy_low: float
    energy_high: float
    """[J a sample]"""

    caught: bool
    """The hazard was seen by the comparison with the training code."""

    hazard: str
    further: str = ""
    """What else the example shows."""
