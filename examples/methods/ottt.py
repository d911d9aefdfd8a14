"""OTTT: online training through time, feed-forward.

Xiao et al., "Online training through time for spiking neural networks", NeurIPS 2022. From the
paper and its code: each step is learned at once; the gradient of a weight is the error of the step
times a trace of the presynaptic spikes, a = 0.5 a + s; v = 0.5 v + x, spikes at v >= 1, which
subtract 1; direct coding, 6 steps, the loss of each step. Our reading: pixels have a trace too, as
the equations say; the network (theirs is a VGG with standardised weights). `ottt_f.py` is the one
with feedback.
"""

import torch
from record import Method
from shared import Net, Neuron, Task, learn
from spoil import reset_by
from torch import Tensor, nn
from torch.func import functional_call
from trip import main

STEPS, DECAY = 6, 0.5


def build(task: Task) -> Net:
    """Return the network, untrained."""
    kernels = task.kernels()
    return Net(kernels, [Neuron(decay=DECAY, subtract=1.0) for _ in kernels[1:]], STEPS)


def traced(kernel: nn.Module, x: Tensor, trace: Tensor) -> Tensor:
    """Return kernel(x), whose weights have the gradient of kernel(trace)."""
    fixed = {name: weight.detach() for name, weight in kernel.named_parameters()}
    given = kernel(trace)
    return functional_call(kernel, fixed, (x,)) + given - given.detach()


def train(net: Net, task: Task, back: nn.Module | None = None) -> None:
    """Train step by step, without a graph from one step to the next.

    Args:
        net: What is trained.
        task: The data.
        back: Kernel from the last neurons' spikes of the step before to the first neurons.
    """

    def cost(images: Tensor, labels: Tensor) -> None:
        v, traces = net.start(), [torch.zeros(()) for _ in net.kernels]
        last, kept = None, torch.zeros(())
        for entering in net.enter(images):
            x, fed = entering, None
            if back is not None and last is not None:
                kept = DECAY * kept + last
                fed = traced(back, last, kept)
            for index, kernel in enumerate(net.kernels):
                traces[index] = DECAY * traces[index] + x.detach()
                x = traced(kernel, x, traces[index])
                if fed is not None and not index:
                    x = x + fed
                if index < len(net.neurons):
                    neuron = net.neurons[index]
                    membrane, x = neuron.fire(neuron.integrate(v[index], x))
                    v[index], last = membrane.detach(), x.detach()
            (nn.functional.cross_entropy(x, labels) / STEPS).backward()

    learn(net, task, cost)


METHOD = Method(
    name="OTTT",
    key="ottt",
    build=build,
    train=train,
    digits=98.0,
    hazard="a spike resets the membrane to 0 instead of subtracting the threshold",
    spoil=reset_by(None),
)

if __name__ == "__main__":
    main(METHOD)
