"""SLTT: spatial learning through time.

Meng et al., "Towards memory- and time-efficient backpropagation for training spiking neural
networks", ICCV 2023. From the paper and its code: the gradient through the membrane's leak is left
out, so each step is learned by itself; v = v / 11 + x (tau 1.1), spikes at v >= 1, which subtract
1; direct coding, 6 steps, the loss of each step. Our reading: the network (theirs are ResNets with
batch normalisation), a triangle as surrogate, Adam.
"""

from record import Method
from shared import Net, Neuron, Task, learn
from spoil import reset_by
from torch import Tensor, nn
from trip import main

STEPS = 6


def build(task: Task) -> Net:
    """Return the network, untrained."""
    kernels = task.kernels()
    return Net(kernels, [Neuron(decay=1 / 11, subtract=1.0) for _ in kernels[1:]], STEPS)


def train(net: Net, task: Task) -> None:
    """Train step by step: what a step leaves behind is a constant for the next."""

    def cost(images: Tensor, labels: Tensor) -> None:
        v = net.start()
        for x in net.enter(images):
            v, gives = net.step([membrane.detach() for membrane in v], x)
            (nn.functional.cross_entropy(gives[-1], labels) / STEPS).backward()

    learn(net, task, cost)


METHOD = Method(
    name="SLTT",
    key="sltt",
    build=build,
    train=train,
    digits=97.0,
    hazard="a spike subtracts 0.9, not the threshold",
    spoil=reset_by(0.9),
)

if __name__ == "__main__":
    main(METHOD)
