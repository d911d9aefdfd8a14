"""EICIL: training that alternates between an excitatory and an inhibitory phase. Provisional.

Shao et al., "EICIL: joint excitatory inhibitory cycle iteration learning for deep spiking neural
networks", NeurIPS 2023. The full text could not be read and no code of it was found. From the
abstract: excitatory and inhibitory behaviours are joined in one framework, in cycles of training,
which is compared with usual training on CIFAR-10 and CIFAR-100. Nothing that could be read changes
the neuron of the deployed network. Our reading, all of it unverified: phases take turns by epochs.
In the excitatory one, neurons that fire together with their inputs are strengthened: each kernel
takes a small Hebbian step (presynaptic activity times postsynaptic spikes, less their mean over
neurons) beside the gradient; in the inhibitory one, gradients act alone and neurons pay for each
spike. LIF neurons v = v / 2 + x, a spike at v >= 1 resets to 0; direct coding, 4 steps, mean
logits, surrogate gradients through time.
"""

import torch
from record import Method
from shared import BATCH, Net, Neuron, Task, learn
from spoil import reset_by
from torch import Tensor, nn
from trip import main

STEPS, DECAY = 4, 0.5
CYCLE = 2
"""Epochs of one excitatory and one inhibitory phase."""

HEBB, PRICE = 0.01, 0.05
"""Of the Hebbian step, beside a loss; of a mean rate, as a loss."""


def build(task: Task) -> Net:
    """Return the network, untrained."""
    kernels = task.kernels()
    return Net(kernels, [Neuron(DECAY) for _ in kernels[1:]], STEPS)


def strengthened(net: Net, inputs: Tensor, gives: list[Tensor]) -> Tensor:
    """Return what is least where inputs and the spikes that they caused go together most."""
    reads = [inputs, *gives]
    total = torch.zeros(())
    for kernel, read, sent in zip(net.kernels, reads, gives[:-1], strict=False):
        drive = kernel(read.detach().mean(dim=0))
        fired = sent.detach().mean(dim=0)
        total = total - (drive * (fired - fired.mean(dim=1, keepdim=True))).mean()
    return total


def train(net: Net, task: Task) -> None:
    """Train in cycles of two phases."""
    batches, seen = -(-len(task.images) // BATCH), 0

    def cost(images: Tensor, labels: Tensor) -> Tensor:
        nonlocal seen
        excitatory, seen = seen // batches % CYCLE == 0, seen + 1
        inputs = net.enter(images)
        gives = net.run(inputs)
        loss = nn.functional.cross_entropy(net.answer(gives[-1]), labels)
        if excitatory:
            return loss + HEBB * strengthened(net, inputs, gives)
        return loss + PRICE * sum(spikes.mean() for spikes in gives[:-1])

    learn(net, task, cost)


METHOD = Method(
    name="EICIL",
    key="eicil",
    build=build,
    train=train,
    digits=None,
    hazard="a spike subtracts the threshold instead of resetting the membrane to 0",
    spoil=reset_by("threshold"),
    provisional="only the abstract could be read: what its two phases do is our reading",
)

if __name__ == "__main__":
    main(METHOD)
