"""What the time-to-first-spike examples share: codes, and networks whose layers take turns.

In the first T steps the pixels send a spike each, the larger the earlier; in the next T steps the
first layer's neurons do so, and so on. Each layer takes what arrives in its turn, times the value
that a spike of that step stands for, and its bias once at the start; then it is compared with the
falling levels of its own code, and fires once at most.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from shared import Net, Neuron, Task, learn, number
from torch import Tensor, nn

from snn_deploy.frontends.layers import Cell, LayerGraph
from snn_deploy.frontends.modules import read_nested
from snn_deploy.ir.latency import encode_latency
from snn_deploy.ir.network import Reset
from snn_deploy.ir.neuron import Compare, Decode, Fires, ResetKind, State, Tabled
from snn_deploy.ir.timing import Refractory, Table, Window

NOTHING = 1e-6
"""A value below all levels."""

PLAIN_STEPS = 8


def plain_net(task: Task) -> Net:
    """Return the network that the rows are compared with: neurons that count, fed with currents."""
    kernels = task.kernels()
    return Net(kernels, [Neuron(subtract=1.0) for _ in kernels[1:]], PLAIN_STEPS)


class Code(nn.Module):
    """What a spike stands for in each of the steps of a turn: 1 - t / T."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.register_buffer("times", torch.arange(steps, dtype=torch.float32))

    def levels(self) -> Tensor:
        """Return the value of each step, [step], falling."""
        return 1 - self.times / self.steps

    def sent(self, values: Tensor) -> Tensor:
        """Return what a layer's values become in training, where nothing has steps."""
        return values.clamp(0, 1)


class Exponential(Code):
    """Levels exp((shift - t) / tau), whose numbers can learn."""

    def __init__(self, steps: int, tau: float) -> None:
        super().__init__(steps)
        self.tau, self.shift = nn.Parameter(torch.tensor(tau)), nn.Parameter(torch.tensor(0.0))

    def levels(self) -> Tensor:
        """Return the value of each step, [step], falling."""
        return torch.exp((self.shift - self.times) / self.tau)

    def sent(self, values: Tensor) -> Tensor:
        """Return what a layer's values become in training, where nothing has steps."""
        return values.relu()

    def times_of(self, values: Tensor) -> Tensor:
        """Return the step of each value's spike, with the gradient of the time before rounding."""
        exact = (self.shift - self.tau * torch.log(values.clamp(min=NOTHING))).clamp(min=0)
        return exact + (exact.ceil() - exact).detach()


class Apart(Net):
    """A network whose biases stand beside its linear layers: they act at times of their own."""

    def __init__(self, task: Task, steps: int) -> None:
        kernels = task.kernels()
        super().__init__(kernels, [Neuron() for _ in kernels[1:]], steps)
        self.biases = nn.ParameterList()
        for kernel in self.kernels:
            layer = linear_of(kernel)
            self.biases.append(layer.bias)
            layer.bias = None

    def bias(self, index: int) -> Tensor:
        """Return the bias of a layer, as it broadcasts to what the layer's kernel gives."""
        axes = linear_of(self.kernels[index]).weight.ndim - 2
        return self.biases[index].reshape(-1, *(1,) * axes)

    def drive(self, index: int, x: Tensor) -> Tensor:
        """Return what a layer of an ANN gives before its activation."""
        return self.kernels[index](x) + self.bias(index)

    def by_values(self, x: Tensor) -> Tensor:
        """Return the answers of the ANN that the network stands for."""
        for index in range(len(self.neurons)):
            x = self.activation(index, self.drive(index, x))
        return self.drive(len(self.neurons), x)

    def activation(self, index: int, drive: Tensor) -> Tensor:
        """Return what a layer of the ANN sends."""
        return drive.relu()

    def answer(self, gives: Tensor) -> Tensor:
        """Return the sum at the end."""
        return gives[-1]

    def graph(self, shape: tuple[int, ...]) -> LayerGraph:
        """Return the network in the words of the compiler."""
        graph, source = LayerGraph(inputs={"input": shape}), "input"
        for index, kernel in enumerate(self.kernels):
            source = read_nested(graph, f"k{index}", kernel, source)
            last = index == len(self.neurons)
            source = graph.add("sum" if last else f"n{index}", self.cell(index), source)
        graph.outputs["output"] = source
        graph.decodes["output"] = Decode.MEMBRANE_END
        return graph

    def cell(self, index: int) -> Cell:
        """Return the neurons of a layer in the words of the compiler."""
        raise NotImplementedError


def latent(images: Tensor, levels: np.ndarray, steps: int) -> Tensor:
    """Return one spike of each pixel by the levels of a code, [step, sample, *shape]."""
    spikes = encode_latency(images.double().numpy(), levels, steps)
    return torch.from_numpy(spikes).to(images.dtype).swapaxes(0, 1)


def linear_of(kernel: nn.Module) -> nn.Conv2d | nn.Linear:
    """Return the one layer with weights that a kernel has."""
    return next(m for m in kernel.modules() if isinstance(m, nn.Conv2d | nn.Linear))


def train_by_values(net: Apart, task: Task) -> None:
    """Train the ANN that a network stands for."""
    learn(net, task, lambda x, labels: nn.functional.cross_entropy(net.by_values(x), labels))


class Turns(Apart):
    """A network whose layers take turns; the last one adds up and is read at its end."""

    def __init__(self, task: Task, make: Callable[[], Code]) -> None:
        layers = len(task.kernels())
        codes = [make() for _ in range(layers)]
        super().__init__(task, layers * codes[0].steps)
        self.codes = nn.ModuleList(codes)
        """Of the pixels, and of each layer but the last."""

        self.turn = codes[0].steps

    def activation(self, index: int, drive: Tensor) -> Tensor:
        """Return what the spikes of a layer stand for."""
        return self.codes[index + 1].sent(drive)

    def enter(self, images: Tensor) -> Tensor:
        """Return the spikes of the pixels, [step, sample, *shape]."""
        return latent(images, number(self.codes[0].levels()), self.steps)

    def run(self, inputs: Tensor) -> list[Tensor]:
        """Return the spikes of each layer, and what the last one has added up, in each step."""
        arriving, rows = inputs, []
        for index, kernel in enumerate(self.kernels):
            start, worth = index * self.turn, self.codes[index].levels()
            v = self.bias(index)
            for t in range(self.turn):
                v = v + worth[t] * kernel(arriving[start + t])
            arriving = torch.zeros(self.steps, *v.shape, dtype=v.dtype)
            if index == len(self.neurons):
                arriving[-1] = v
            else:
                arriving[start + self.turn :][: self.turn] = self.fire(index, v)
            rows.append(arriving)
        return rows

    def fire(self, index: int, v: Tensor) -> Tensor:
        """Return the spikes of a layer in the steps of its turn, by its membranes."""
        reached = v >= self.codes[index + 1].levels().reshape(-1, *(1,) * v.ndim)
        return (reached & (reached.cumsum(dim=0) == 1)).to(v.dtype)

    def cell(self, index: int) -> Cell:
        """Return the neurons of a layer in the words of the compiler."""
        start, behind = index * self.turn, (index + 1) * self.turn
        worth = number(self.codes[index].levels())
        once = number(self.biases[index])[None]
        adds = Cell(
            decay=number(1.0),
            fires=Fires.NEVER,
            tables=(
                Table(what=Tabled.GAIN, rows=worth, into=State.MEMBRANE, start=start),
                Table(what=Tabled.BIAS, rows=once, into=State.MEMBRANE, start=start),
            ),
            per_channel=True,
        )
        if index == len(self.neurons):
            return adds
        levels = number(self.codes[index + 1].levels())
        return replace(
            adds,
            fires=Fires.BINARY,
            compare=Compare.GREATER_EQUAL,
            reset=Reset(kind=ResetKind.VALUE),
            refractory=Refractory(steps=None),
            window=Window(first=behind, behind=behind + self.turn),
            tables=(*adds.tables, Table(what=Tabled.THRESHOLD, rows=levels, start=behind)),
        )
