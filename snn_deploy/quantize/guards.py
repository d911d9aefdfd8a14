"""What a layer does on the calibration data that should make a user stop: silent, saturated."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Num

from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.neuron import Fires
from snn_deploy.ir.program import Population
from snn_deploy.ir.words import counted

NEARLY_EVERY = 0.95
"""Share of steps with its highest payload from which on a neuron counts as saturated."""

USUAL_RATIO = (0.9, 1.1)
"""Spikes over those of the real-valued network that nothing is said of."""


def activity_findings(
    population: Population,
    wanted: Num[np.ndarray, "sample step ..."],
    sent: Num[np.ndarray, "sample step ..."],
) -> Iterator[Finding]:
    """Yield what is wrong with the activity of a rounded layer.

    Args:
        population: In whole numbers.
        wanted: What it sends in the real-valued network.
        sent: What it sends, fed by the rounded layers below.
    """
    if population.fires is Fires.NEVER:
        return
    name, before, after = population.name, float(np.sum(wanted)), float(np.sum(sent))
    if not before:
        yield Finding(
            kind=Kind.GUESSED,
            layer=name,
            amount="no neuron fires on the calibration data, nor does it in real values",
            reason="so the scales of the layers behind it rest on nothing; calibrate with data "
            "like that in use, or look at the threshold and the weights as trained",
        )
    elif not after:
        yield Finding(
            kind=Kind.CHANGED,
            layer=name,
            amount="no neuron fires any more on the calibration data",
            reason=f"the weights are too coarse beside the threshold; more --bits {name}=N, or "
            "--bias-correction",
        )
    elif not USUAL_RATIO[0] <= after / before <= USUAL_RATIO[1]:
        yield Finding(
            kind=Kind.ROUNDED,
            layer=name,
            amount=f"{after / before:.2f} times the spikes of the real-valued network on the "
            "calibration data",
            reason=f"rounding moved the mean input; --bias-correction, or more --bits {name}=N",
        )
    yield from _saturated(population, wanted, sent)


def _saturated(population: Population, wanted: np.ndarray, sent: np.ndarray) -> Iterator[Finding]:
    highest = population.highest_payload
    full = np.mean(sent >= highest, axis=(0, 1)) >= NEARLY_EVERY
    before = np.mean(wanted >= highest, axis=(0, 1)) >= NEARLY_EVERY
    new = int(np.count_nonzero(full & ~before))
    if new:
        yield Finding(
            kind=Kind.CHANGED,
            layer=population.name,
            amount=f"{new} of {counted(population.size, 'neuron')} now send all they can in "
            "nearly every step of the calibration data",
            reason="the threshold or the bias is lost beside the weights; more "
            f"--bits {population.name}=N, or --preset per-channel",
        )


def leave_finding(
    name: str, scale: Float[np.ndarray, "..."], provable: Float[np.ndarray, " neuron"]
) -> Finding | None:
    """Return a finding where leave to overflow was made use of.

    Args:
        name: Of the layer.
        scale: State units per real unit, one or of each neuron.
        provable: The largest with which no input leaves a register, by estimate.
    """
    ratio = float(np.max(np.ravel(scale) / provable))
    if ratio <= 1:
        return None
    return Finding(
        kind=Kind.UNPROVEN,
        layer=name,
        amount=f"its scale is {ratio:.3g} times the largest that was found safe for any input",
        reason="so --allow-overflow allows; without it smaller scales come first, and with "
        "--prove there are no others",
    )


def state_findings(
    population: Population, membrane: Num[np.ndarray, "sample step ..."], highest: int
) -> Iterator[Finding]:
    """Yield a finding where the calibration data drives a membrane out of its register.

    Args:
        population: In whole numbers.
        membrane: At the end of each step, without any limit [state units].
        highest: What the register holds.
    """
    beyond = np.any(np.abs(membrane) > highest, axis=(0, 1))
    if np.any(beyond):
        yield Finding(
            kind=Kind.CHANGED,
            layer=population.name,
            amount=f"the membrane of {int(beyond.sum())} of {counted(population.size, 'neuron')} "
            f"leaves its register of {highest} on the calibration data",
            reason="the scale is too large for these inputs; --prove keeps every state in range",
        )
