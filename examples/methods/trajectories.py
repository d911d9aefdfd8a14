"""Rows that are judged by the error of a trajectory: of real numbers, and of integers."""

import numpy as np
import torch
from record import Judged, Method
from shared import Net, Task
from trip import entering, trained

from snn_deploy.backends.protocol import find_backend
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.ir.trace import EVERYTHING, Values


def errors(method: Method, net: Net, task: Task, deployment: Deployment) -> Judged:
    """Return the errors of a network's trajectories."""
    read, spikes = of_integers(deployment, entering(net, task.test_images))
    return Judged(
        spikes=spikes,
        float_error=error(of_reals(net, task), task),
        plain_error=error(of_reals(trained(method, task, method.baseline), task), task),
        integer_error=error(read, task),
    )


def error(read: np.ndarray, task: Task) -> float:
    """Return the root of the squared distance to what is wanted, as a share of the latter's."""
    wanted = task.test_labels.numpy()
    return float(np.linalg.norm(read - wanted) / np.linalg.norm(wanted))


def of_reals(net: Net, task: Task) -> np.ndarray:
    """Return the trajectories [sample, step, output] of a network as it was trained."""
    with torch.no_grad():
        return net.run(net.enter(task.test_images))[-1].numpy().swapaxes(0, 1)


def of_integers(deployment: Deployment, inputs: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the trajectories [sample, step, output] of its integers, and spikes a sample."""
    program = deployment.program
    values = Values(
        name="input", values=np.rint(inputs / deployment.encoding.unit).astype(np.int32)
    )
    trace = find_backend("event").run(program, [values], EVERYTHING)
    name = program.outputs[0].population
    read = program.population(name)
    membrane = trace[name].membrane[:, read.lag : read.lag + inputs.shape[1]]
    spikes = sum(int(np.count_nonzero(trace[p.name].payload)) for p in program.populations)
    return membrane * read.units, spikes / len(inputs)
