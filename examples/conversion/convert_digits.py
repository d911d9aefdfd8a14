"""Convert a ReLU network to a spiking one and score it on MNIST digits, in reals and in integers.

    python convert_digits.py
    python convert_digits.py --model model.onnx --pixels 255 --steps 8 32
    python convert_digits.py --model mnist_params.pt --arch sinabs_mnist.toml

With --model the first 50 digits of each class calibrate the conversion and the other 450 are
scored. Without it a small network is trained on 4,000 digits first (which needs torch), 500 of
those calibrate, and the other 1,000 digits are scored.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "mnist"))
import digits

from snn_deploy.backends.event import EventBackend
from snn_deploy.frontends.ann import evaluate
from snn_deploy.frontends.arch import build, read_architecture
from snn_deploy.frontends.convert import Conversion, Converted, MaxPooling, ThresholdRule, convert
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.modules import read_module
from snn_deploy.frontends.nir import checked_graph, import_graph
from snn_deploy.frontends.onnx import read_onnx
from snn_deploy.frontends.to_nir import to_nir
from snn_deploy.frontends.torch_file import StateDict, read_torch_file
from snn_deploy.ir.codecs import decode, encode_current, predict
from snn_deploy.ir.network import Network
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Program
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import Recording, Values
from snn_deploy.quantize import compile_network
from snn_deploy.targets import find_target

CALIBRATION = 500
"""Digits to choose thresholds on."""

COMPILE_ON = 60
"""Of those, digits to choose the scales of the integers on."""

BLOCK = 100
"""Digits that are simulated at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """Images [sample, 1, 28, 28] in turn of all classes, and the labels of those scored."""

    calibration: np.ndarray
    scored: np.ndarray
    labels: np.ndarray


def split() -> Digits:
    """Return the first 50 digits of each class to calibrate on, and the others."""
    rows = digits.read_rows().reshape(digits.CLASSES, digits.PER_CLASS, -1).swapaxes(0, 1)
    images = rows[..., :-1].astype(np.float32).reshape(-1, 1, digits.SIDE, digits.SIDE) / 255
    labels = rows[..., -1].astype(np.int64).ravel()
    return Digits(
        calibration=images[:CALIBRATION], scored=images[CALIBRATION:], labels=labels[CALIBRATION:]
    )


def read(path: Path, arch: Path | None) -> LayerGraph:
    """Return the layers of a model file."""
    content = path.read_bytes()
    if path.suffix == ".onnx":
        return read_onnx(content, path.name)
    file = read_torch_file(content, path.name)
    if not isinstance(file, StateDict) or arch is None:
        raise SystemExit("give an ONNX file, or a state dict with --arch FILE.toml")
    return build(read_architecture(arch), file.tensors)


def train(epochs: int) -> tuple[LayerGraph, Digits]:
    """Train a small network with biases and max-pooling; return its layers and its digits."""
    import torch  # noqa: PLC0415  only where no model is given
    from torch import nn  # noqa: PLC0415  the same

    torch.manual_seed(0)
    images, labels, scored, truth = digits.load()
    net = nn.Sequential(
        nn.Conv2d(1, 12, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(12, 24, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * 5 * 5, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-4)
    x, y = torch.tensor(images), torch.tensor(labels)
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[part]), y[part]).backward()
            optimizer.step()
    chosen = images[np.linspace(0, len(images) - 1, CALIBRATION).astype(int)]
    return read_module(net.eval(), images.shape[1:]), Digits(
        calibration=chosen, scored=scored, labels=truth
    )


def network_of(converted: Converted) -> Network:
    """Return the real-valued network of a conversion."""
    form = to_nir(converted.graph)
    graph = checked_graph(form.graph, "")
    return import_graph(graph, name="n", where="", annotation=form.annotation).network


def membrane_only(graph: Network | Program) -> Recording:
    """Return what must be recorded to decode the answer."""
    return Recording(states=frozenset({State.MEMBRANE}), populations=(graph.outputs[0].population,))


def real_answers(network: Network, images: np.ndarray, steps: int) -> np.ndarray:
    """Return the class of each image by the real-valued network."""
    output, entry = network.outputs[0], network.inputs[0].name
    answers = []
    for start in range(0, len(images), BLOCK):
        inputs = encode_current(images[start : start + BLOCK], steps)
        trace = simulate(network, [Values(name=entry, values=inputs)], membrane_only(network))
        answers.append(predict(decode(trace[output.population], output.decode, 0, steps)))
    return np.concatenate(answers)


def integer_answers(
    network: Network, converted: Converted, target: str, data: Digits, steps: int
) -> np.ndarray:
    """Return the class of each image by the integer program for a target."""
    entry, encoding = network.inputs[0].name, converted.encoding
    calibration = [Values(name=entry, values=encode_current(data.calibration[:COMPILE_ON], steps))]
    program = compile_network(
        network, find_target(target), encoding=encoding, calibration=calibration
    ).program
    output = program.outputs[0]
    lag = program.population(output.population).lag
    answers = []
    for start in range(0, len(data.scored), BLOCK):
        images = data.scored[start : start + BLOCK]
        whole = np.rint(images / encoding.unit).astype(np.int32)
        inputs = [Values(name=entry, values=encode_current(whole, steps))]
        trace = EventBackend().run(program, inputs, membrane_only(program))
        answers.append(predict(decode(trace[output.population], output.decode, lag, steps)))
    return np.concatenate(answers)


def main() -> None:
    """Print one line per number of steps and way of computing."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", type=Path, help="ONNX file, or state dict with --arch")
    parser.add_argument("--arch", type=Path, help="architecture file of a state dict")
    parser.add_argument("--pixels", type=float, default=1.0, help="what black is for the model")
    parser.add_argument("--steps", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--targets", nargs="*", default=["loihi2"])
    parser.add_argument("--digits", type=int, help="score the first so many only")
    parser.add_argument("--epochs", type=int, default=12, help="of training, without --model")
    parser.add_argument("--threshold", type=ThresholdRule, default=Conversion().threshold)
    parser.add_argument("--percentile", type=float, default=Conversion().percentile)
    parser.add_argument("--initial", type=float, default=Conversion().initial)
    parser.add_argument("--correct-bias", action="store_true")
    parser.add_argument("--most-spikes", type=int, default=1)
    parser.add_argument("--max-pooling", type=MaxPooling, default=Conversion().max_pooling)
    given = parser.parse_args()

    ann, data = (read(given.model, given.arch), split()) if given.model else train(given.epochs)
    data = Digits(
        calibration=data.calibration * np.float32(given.pixels),
        scored=data.scored[: given.digits] * np.float32(given.pixels),
        labels=data.labels[: given.digits],
    )
    (entry,), (source,) = ann.inputs, ann.outputs.values()
    parts = [
        evaluate(ann, {entry: data.scored[start : start + BLOCK]})[source]
        for start in range(0, len(data.scored), BLOCK)
    ]
    wanted = np.concatenate(parts).argmax(axis=1)

    def show(what: str, answers: np.ndarray, since: float) -> None:
        right, kept = (100 * np.mean(answers == other) for other in (data.labels, wanted))
        print(
            f"{what:24} {right:6.2f} % right, {kept:6.2f} % as the ANN, of {len(answers)}"
            f"  [{time.monotonic() - since:.0f} s]",
            flush=True,
        )

    show("ANN", wanted, time.monotonic())
    for steps in given.steps:
        start = time.monotonic()
        options = Conversion(
            steps=steps,
            threshold=given.threshold,
            percentile=given.percentile,
            initial=given.initial,
            correct_bias=given.correct_bias,
            most_spikes=given.most_spikes,
            max_pooling=given.max_pooling,
        )
        converted = convert(ann, data.calibration, options)
        network = network_of(converted)
        show(f"SNN, {steps} steps", real_answers(network, data.scored, steps), start)
        for target in given.targets:
            start = time.monotonic()
            answers = integer_answers(network, converted, target, data, steps)
            show(f"  integers, {target}", answers, start)


if __name__ == "__main__":
    main()
