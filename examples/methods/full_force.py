"""full-FORCE: recurrent spiking networks that follow a trajectory, by recursive least squares.

Paul, Wagner and Das, "Learning in feedback-driven recurrent spiking neural networks using
full-FORCE training", IJCNN 2022. From the paper and its code: a second network with random weights
is driven by a pulse and by the wanted output; all recurrent weights of the first, and its readout,
are fitted by recursive least squares to what the second one receives, so that the pulse alone
brings the trajectory; trials follow one another without a pause. Double exponential currents of
double exponential traces, each step reading the older state: four currents in a row, of which the
pulse enters the third. tau_m 10 ms, decay 20 ms, rise 2 ms, refractory for 2 ms, held meanwhile, a
floor at the value of the reset, membranes that start at random. Our reading: 200 neurons and
steps of 0.5 ms (theirs 300 and 0.05 ms), trials of one second, a new start after four of them,
nobody fires before it (theirs: half of all), the gain and the weights of pulse and wanted output,
the ordinary step of recursive least squares (theirs is not divided by its denominator), decays
rounded to 1 / 4096, which a chip has, two oscillators at once as the target, of 2 and 4 Hz.
`full_force_lorenz.py` has another target. Compared with the same network whose recurrent weights
stay random. In float64 the compiled network fires as this code does although it adds up filtered
spikes where this code filters sums: between spikes all states decay, so that rounding stays
rounding until a membrane comes within 1e-12 of the threshold.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from cascade import DT, FLOOR, NEURONS, STEPS, Recurrent
from record import Method
from shared import Task
from trajectories import errors
from trip import main

from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.ir.neuron import Reads

BLOCK = 4
"""Trials from one start to the next, in training and in the test."""

RIDGE, OFTEN = 1.0, 0.25
"""Of the least squares, and the share of the steps that they see."""

TRIALS = 16

QUICK = 500
"""Steps of a trial in a quick run."""


def train(net: Recurrent, task: Task, *, recurrent: bool = True) -> None:
    """Fit the readout, and the recurrent weights too, to what a teacher receives."""
    teacher, matrix = deepcopy(net), torch.eye(NEURONS).double() / RIDGE
    pulse, wanted = net.enter(task.images[:1])[:STEPS, 0].double() @ net.entry.T, task.labels[0]
    for trial in range(task.epochs):
        if trial % BLOCK == 0:
            for each in (net, teacher):
                each.start(1)
                each.v = torch.rand(1, NEURONS).double() * FLOOR
        for x, y in zip(pulse, wanted, strict=True):
            if torch.rand(()) < OFTEN:
                r, aim = net.i2[0], teacher.recurrent @ teacher.i2[0] + net.wanted @ y
                k = matrix @ r
                step = k / (1 + r @ k)
                matrix.addr_(step, k, alpha=-1)
                net.readout.addr_(net.readout @ r - y, step, alpha=-1)
                if recurrent:
                    net.recurrent.addr_(net.recurrent @ r - aim, step, alpha=-1)
            teacher.step(x + net.wanted @ y)
            net.step(x)


def task_of(trajectory: Callable[[int], np.ndarray], *, quick: bool) -> Task:
    """Return the task to follow a trajectory, [step, output] of so many steps."""
    wanted = torch.from_numpy(trajectory(STEPS)[: QUICK if quick else STEPS])[None]
    return Task(
        name="trajectory",
        images=torch.ones(1, 1),
        labels=wanted,
        test_images=torch.ones(1, 1),
        test_labels=wanted if quick else wanted.repeat(1, BLOCK, 1),
        levels=1,
        epochs=2 if quick else TRIALS,
        kernels=list,
    )


def oscillators(steps: int) -> np.ndarray:
    """Return two sines."""
    return np.sin(2 * np.pi * DT * np.outer(np.arange(steps), [2, 4]))


def too_early(graph: LayerGraph) -> None:
    """Let each current read the one before it as this step leaves it."""
    node = graph.nodes["n0"]
    further = [
        replace(each, chain=replace(each.chain, reads=Reads.NEW)) for each in node.layer.further
    ]
    graph.nodes["n0"] = replace(node, layer=replace(node.layer, further=tuple(further)))


def method(name: str, key: str, trajectory: Callable[[int], np.ndarray]) -> Method:
    """Return the method with one trajectory."""
    return Method(
        name=f"full-FORCE ({name})",
        key=key,
        build=Recurrent,
        train=train,
        baseline=partial(train, recurrent=False),
        task=partial(task_of, trajectory),
        digits=None,
        hazard="each current reads the one before it as this step leaves it, not the last one",
        spoil=too_early,
        judge=errors,
    )


METHOD = method("oscillators", "full_force", oscillators)

if __name__ == "__main__":
    main(METHOD)
