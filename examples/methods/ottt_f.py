"""OTTT with a feedback connection: the last neurons reach the first ones a step later.

Xiao et al., "Online training through time for spiking neural networks", NeurIPS 2022, the network
with feedback. From the paper's code: the first layer adds a convolution of the last layer's spikes,
repeated to its size, of the step before; the first step has no such term, nor its bias; fed back
spikes are constants to the gradient but have a trace as all others; the kernel of the feedback
starts at 0; all else is as in `ottt.py`. Our reading: the network (theirs is a VGG); where layers
are dense, the feedback is dense.
"""

from looped import Looped
from ottt import DECAY, STEPS
from ottt import train as online
from record import Method
from shared import Neuron, Task
from torch import nn
from trip import main

from snn_deploy.frontends.layers import LayerGraph


def feedback(kernels: list[nn.Module]) -> nn.Module:
    """Return the way back from what the last neurons send to what the first ones read."""
    if isinstance(kernels[0], nn.Linear):
        return nn.Linear(kernels[-1].in_features, kernels[0].out_features)
    resized = nn.Conv2d(kernels[1].out_channels, kernels[0].out_channels, 3, padding=2)
    return nn.Sequential(nn.Upsample(scale_factor=2), resized)


def build(task: Task) -> Looped:
    """Return the network, untrained."""
    kernels = task.kernels()
    back = feedback(kernels)
    list(back.modules())[-1].weight.data.zero_()
    return Looped(kernels, [Neuron(decay=DECAY, subtract=1.0) for _ in kernels[1:]], back, STEPS)


def train(net: Looped, task: Task) -> None:
    """Train step by step, the feedback too."""
    online(net, task, net.back)


def starting_at_once(graph: LayerGraph) -> None:
    """Let the bias of the feedback act from the first step on."""
    graph.bias_waits = False


METHOD = Method(
    name="OTTT with feedback",
    key="ottt_f",
    build=build,
    train=train,
    digits=98.0,
    hazard="the bias of the feedback acts from step 0 on",
    spoil=starting_at_once,
    dilation="auto",
)

if __name__ == "__main__":
    main(METHOD)
