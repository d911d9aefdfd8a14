"""The trip of each trained network: import, NIR, integers, simulators, accuracy and energy."""

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from record import Judged, Method, Row
from shared import Net, Task, accuracy, small_task

import snn_deploy
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.errors import DeployError
from snn_deploy.frontends import load
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.ir.codecs import decode
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values

COMPARED = 200
"""Samples whose spikes are compared with those of the training code."""

CALIBRATED = 256
VERIFIED = 10
LAVA_VERIFIED = 1
PRICED = 100
"""Samples whose energy is estimated."""

CLOSE = 1e-9
"""Relative difference of two answers in float64 that are the same."""

ROUNDED = 2.0**-15
"""The same, where the weights of steps were rounded to 16 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """How a network as it was read differs from the training code's own forward pass."""

    spikes: int
    answers: int
    """Samples."""


def trained(method: Method, task: Task, train: Callable[[Net, Task], None] | None = None) -> Net:
    """Return the network of a method, trained by it or otherwise; equal calls give equal ones."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = method.build(task)
    (train or method.train)(net, task)
    return net.eval().double()


def differences(net: Net, graph: LayerGraph, images: torch.Tensor) -> Differences:
    """Return how a graph differs from the trained network on some images."""
    with torch.no_grad():
        inputs = net.enter(images.double())
        gives = net.run(inputs)
        answers = net.answer(gives[-1]).numpy()
    network = load(graph).network
    values = inputs.numpy().swapaxes(0, 1)
    trace = simulate(network, [Values(name="input", values=values)], EVERYTHING)
    spikes = 0
    for index in range(len(net.neurons)):
        meant = gives[index].numpy().swapaxes(0, 1)
        spikes += int(np.count_nonzero(trace[f"n{index}"].payload != meant))
    output = network.outputs[0]
    read = decode(trace[output.population], output.decode, 0, net.steps, output.weights)
    scale = np.abs(answers).max() + np.abs(read).max()
    close = CLOSE if output.weights is None else ROUNDED
    wrong = np.abs(read - answers).reshape(len(answers), -1).max(axis=1) > close * scale
    return Differences(spikes=spikes, answers=int(wrong.sum()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A network as integers, and what was shown of them."""

    deployment: Deployment
    nir_again: bool
    bit_exact: bool
    states: int


def proof(method: Method, net: Net, task: Task, samples: int = VERIFIED) -> Proof:
    """Return the integers of a network, compared between both simulators and through NIR."""
    graph = net.graph(tuple(task.images.shape[1:]))
    deployment = exported(method, net, graph, task)
    found = load(graph)
    again = load(found.nir_bytes)
    same = exported(method, net, again.graph, task).program.digest == deployment.program.digest
    data = {"input": entering(net, task.test_images[:samples])}
    checked = snn_deploy.verify(deployment, input=data, against="reference")
    return Proof(
        deployment=deployment,
        nir_again=same and again.nir_bytes == found.nir_bytes,
        bit_exact=checked.equal,
        states=sum(each.states for each in checked.comparisons),
    )


def take(method: Method, *, quick: bool) -> Row:
    """Return what comes of one method's trip."""
    task = method.task(quick=quick)
    net = trained(method, task)
    shape, test = tuple(task.images.shape[1:]), task.test_images[:COMPARED]
    found = differences(net, net.graph(shape), test)
    wrong = net.graph(shape)
    method.spoil(wrong)
    caught = differences(net, wrong, test)
    proven = proof(method, net, task)
    deployment = proven.deployment
    data = {"input": entering(net, task.test_images)}
    judged = (method.judge or accuracies)(method, net, task, deployment)
    energy = snn_deploy.estimate(deployment, input=data, samples=min(PRICED, len(test)))
    return Row(
        method=method.name,
        quick=quick,
        task=task.name,
        steps=net.steps,
        **asdict(judged),
        digits_accuracy=None if method.digits is None else on_digits(method, quick=quick),
        digits_goal=method.digits,
        provisional=method.provisional,
        different_spikes=found.spikes,
        different_answers=found.answers,
        compared=len(test),
        nir_again=proven.nir_again,
        strict=strict(net.double().graph(shape)),
        target=method.target,
        reason=method.unlike,
        states=proven.states,
        bit_exact=proven.bit_exact,
        native=_native(deployment.findings),
        lava="" if quick else _lava(deployment, data),
        energy=energy.value,
        energy_low=energy.low,
        energy_high=energy.high,
        caught=bool(caught.spikes or caught.answers),
        hazard=method.hazard,
        further="" if quick or method.further is None else method.further(net, task),
    )


def accuracies(method: Method, net: Net, task: Task, deployment: Deployment) -> Judged:
    """Return how many answers are right."""
    data = {"input": entering(net, task.test_images), "label": task.test_labels.numpy()}
    evaluation = snn_deploy.evaluate(deployment, data=data)
    compared = replace(method, build=method.plain_net or method.build)
    return Judged(
        spikes=sum(layer.spikes for layer in evaluation.activity),
        float_accuracy=accuracy(net.float(), task),
        plain_accuracy=accuracy(trained(compared, task, method.baseline).float(), task),
        integer_accuracy=100 * evaluation.accuracy,
    )


def on_digits(method: Method, *, quick: bool) -> float:
    """Return the accuracy of a method on the digits of 8 x 8 pixels [%]."""
    small = small_task(quick=quick)
    return accuracy(trained(method, small).float(), small)


def entering(net: Net, images: torch.Tensor) -> np.ndarray:
    """Return what enters the network, [sample, step, *shape]."""
    return np.ascontiguousarray(net.enter(images).numpy().swapaxes(0, 1))


def exported(method: Method, net: Net, model: Any, task: Task) -> Deployment:
    """Return the deployment of a network in weights of 8 bits."""
    levels = method.levels or task.levels
    count = max(1, min(CALIBRATED, len(task.images) // 8))
    chosen = torch.linspace(0, len(task.images) - 1, count).long()
    return snn_deploy.export(
        model,
        target=method.target,
        encode="recorded",
        input_unit=1 / levels,
        input_range=f"0:{levels}",
        calibrate={"input": entering(net, task.images[chosen])},
        time_dilation=method.dilation,
    )


def strict(graph: LayerGraph) -> str:
    """Return why plain NIR does not say a network; empty: it does."""
    try:
        snn_deploy.nir(graph, strict=True)
    except DeployError as refused:
        return refused.message
    return ""


def _native(findings: Iterable[Finding]) -> str:
    simulated = sorted({f.reason for f in findings if f.kind is Kind.SIMULATED})
    return "; ".join(simulated) or "native"


def _lava(deployment: Deployment, data: Mapping[str, np.ndarray]) -> str:
    """Return what Lava says to the same program."""
    if deployment.target.name == "cpu":
        return "not for this target"
    if "SNN_DEPLOY_LAVA_PYTHON" not in os.environ:
        return "no environment"
    checked = snn_deploy.verify(deployment, input=data, against="lava", samples=LAVA_VERIFIED)
    return "equal" if checked.equal else "differs"


def main(method: Method) -> None:
    """Run one method and print what came of it."""
    parser = argparse.ArgumentParser(description=method.name)
    parser.add_argument("--quick", action="store_true", help="few samples, six epochs")
    for key, value in asdict(take(method, quick=parser.parse_args().quick)).items():
        print(f"{key:18} {value}")
