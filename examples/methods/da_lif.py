"""DA-LIF: dual adaptive leaky integrate-and-fire neurons.

Zhang et al., "DA-LIF: dual adaptive leaky integrate-and-fire model for deep spiking neural
networks", 2025. The paper's full text was not read. From its abstract and a summary: a layer learns
two factors, of what the membrane keeps and of what enters, v = tanh(b) v + tanh(a) x; training by
surrogate gradients, 4 steps, direct coding. Our reading: a hard reset to 0, spikes at v >= 1,
both factors start at 0.8 and 0.9, mean logits.
"""

import math

import torch
from record import Method
from shared import Net, Neuron, Task, plain
from spoil import reset_by
from torch import Tensor, nn
from trip import main

STEPS = 4


class Dual(Neuron):
    """Neurons with learned factors on the membrane and on what enters."""

    def __init__(self) -> None:
        super().__init__()
        self.keep = nn.Parameter(torch.tensor(math.atanh(0.8)))
        self.take = nn.Parameter(torch.tensor(math.atanh(0.9)))

    def integrate(self, v: Tensor, x: Tensor) -> Tensor:
        """Return the membrane before the test."""
        self.decay, self.gain = self.keep.tanh(), self.take.tanh()
        return super().integrate(v, x)


def build(task: Task) -> Net:
    """Return the network, untrained."""
    kernels = task.kernels()
    return Net(kernels, [Dual() for _ in kernels[1:]], STEPS)


METHOD = Method(
    name="DA-LIF",
    key="da_lif",
    build=build,
    train=plain,
    digits=97.6,
    hazard="a spike subtracts the threshold instead of resetting the membrane to 0",
    spoil=reset_by(1.0),
)

if __name__ == "__main__":
    main(METHOD)
