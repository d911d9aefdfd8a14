"""TT-SNN: convolutions as tensor trains, contracted when they are deployed.

Lee et al., "TT-SNN: tensor train decomposition for efficient spiking neural network training", DATE
2024. From the paper and its code: a convolution of 3 x 3 is trained as four small ones, 1 x 1, then
3 x 1 and 1 x 3 side by side, whose mean goes through another 1 x 1, nothing in between (the
parallel form, PTT); v = v / 4 + x, a reset to 0 at v > 0.5; 4 steps, direct coding. Contracted, the
kernel is a plus: four of its nine taps are exactly 0. Our reading: one such convolution behind an
ordinary one (theirs is a ResNet whose trunk is analog), of rank 6. It is compared with an ordinary
convolution of the same shape, all of whose taps are trained. `tt_snn_htt.py` has the half form.
"""

import torch
from record import Method
from shared import LIVELY, Net, Neuron, Task, plain
from torch import Tensor, nn
from trip import main

from snn_deploy.frontends.layers import LayerGraph

STEPS, RANK = 4, 6


class Train(nn.Module):
    """A convolution of 3 x 3 without padding, as a tensor train."""

    def __init__(self, channels: int, gives: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.entry = nn.Conv2d(channels, RANK, 1, bias=False)
        self.down = nn.Conv2d(RANK, RANK, (3, 1), stride, bias=False)
        self.across = nn.Conv2d(RANK, RANK, (1, 3), stride, bias=False)
        self.exit = nn.Conv2d(RANK, gives, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x."""
        x = self.entry(x)
        return self.exit((self.down(x[..., 1:-1]) + self.across(x[..., 1:-1, :])) / 2)

    @torch.no_grad()
    def contracted(self) -> nn.Conv2d:
        """Return the same as one dense convolution."""
        entry, leave = self.entry.weight[..., 0, 0], self.exit.weight[..., 0, 0]
        core = torch.zeros(RANK, RANK, 3, 3, dtype=entry.dtype)
        core[..., 1:2] += self.down.weight / 2
        core[..., 1:2, :] += self.across.weight / 2
        made = nn.Conv2d(entry.shape[1], leave.shape[0], 3, self.stride).to(entry.dtype)
        made.weight.copy_(torch.einsum("or,rshw,sc->ochw", leave, core, entry))
        made.bias.copy_(self.exit.bias)
        return made


class Trains(Net):
    """A network whose second layer is a tensor train."""

    def __init__(self, task: Task, form: type[Train] = Train) -> None:
        if task.images.ndim > 2:
            first, train, sites = nn.Conv2d(1, 8, 5, stride=2), form(8, 16, 2), 25
        else:
            square = nn.Unflatten(1, (1, 8, 8))
            first = nn.Sequential(square, nn.Conv2d(1, 8, 3, padding=1))
            train, sites = form(8, 16, 1), 36
        kernels = [first, train, nn.Sequential(nn.Flatten(), nn.Linear(16 * sites, 10))]
        neurons = [Neuron(decay=0.25, threshold=0.5, strict=True) for _ in kernels[1:]]
        super().__init__(kernels, neurons, STEPS)

    def deployed(self, kernel: nn.Module) -> nn.Module:
        """Return a kernel as it is deployed: contracted."""
        return kernel.contracted() if isinstance(kernel, Train) else kernel


def dense(net: Trains, task: Task) -> None:
    """Train the same network with an ordinary convolution in place of the tensor train."""
    net.kernels[1] = net.kernels[1].contracted()
    net.kernels[1].reset_parameters()
    net.kernels[1].weight.data *= LIVELY
    plain(net, task)


def transposed(graph: LayerGraph) -> None:
    """Contract the two middle kernels the wrong way round."""
    layer = graph.nodes["k1"].layer
    layer.weight[:] = layer.weight.swapaxes(2, 3)


METHOD = Method(
    name="TT-SNN (PTT)",
    key="tt_snn",
    build=Trains,
    train=plain,
    digits=99.0,
    hazard="the two middle kernels are contracted the wrong way round",
    spoil=transposed,
    baseline=dense,
)

if __name__ == "__main__":
    main(METHOD)
