"""HTA-KL: head-tail aware distillation from an ANN.

Zhang et al., "Head-tail-aware KL divergence in knowledge distillation for spiking neural networks",
2025. The paper's full text was not read; from its abstract: a teacher's probabilities are sorted;
the first, whose sum stays below a bound, are the head, the others the tail; forward and reverse KL
divergence of both are weighed by how much of the difference lies in head and tail. Inference is
that of an ordinary LIF network, 2 steps. Our reading: the bound 0.5, and forward KL weighs by the
head's share, reverse KL by the tail's, as in the divergence for language models that has the same
parts (Wu et al., "Rethinking Kullback-Leibler divergence in knowledge distillation for large
language models", 2024, of which an implementation was read); v = v / 2 + x, a reset to 0 at v >= 1,
temperature 2, as much as the labels' loss; the teacher is the same network with ReLUs.
"""

import torch
from record import Method
from shared import Net, Neuron, Task, learn
from spoil import reset_by
from torch import Tensor, nn
from trip import main

STEPS, HEAD, TEMPERATURE = 2, 0.5, 2.0


def build(task: Task) -> Net:
    """Return the network, untrained."""
    kernels = task.kernels()
    return Net(kernels, [Neuron(decay=0.5) for _ in kernels[1:]], STEPS)


def taught(task: Task) -> nn.Module:
    """Return a trained network of rectifiers."""
    kernels = task.kernels()
    parts = [part for kernel in kernels[:-1] for part in (kernel, nn.ReLU())]
    teacher = nn.Sequential(*parts, kernels[-1])
    learn(teacher, task, lambda x, labels: nn.functional.cross_entropy(teacher(x), labels))
    return teacher.eval()


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the divergence of logits [sample, class], weighed by head and tail."""
    p = (teacher / TEMPERATURE).softmax(dim=1)
    log_q = (student / TEMPERATURE).log_softmax(dim=1)
    q = log_q.exp()
    ordered, order = p.sort(dim=1, descending=True)
    sorted_head = ordered.cumsum(dim=1) - ordered < HEAD
    head = torch.zeros_like(p).scatter(1, order, sorted_head.to(p.dtype))
    gap = (p - q).abs().detach()
    in_head, in_tail = (gap * head).sum(dim=1), (gap * (1 - head)).sum(dim=1)
    share = in_head / (in_head + in_tail).clamp(min=1e-8)
    log_p = p.clamp(min=1e-8).log()
    forward = (p * (log_p - log_q)).sum(dim=1)
    reverse = (q * (log_q - log_p)).sum(dim=1)
    return TEMPERATURE**2 * (share * forward + (1 - share) * reverse).mean()


def train(net: Net, task: Task) -> None:
    """Train a teacher, then the network by labels and teacher."""
    teacher = taught(task)

    def cost(images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = teacher(images)
        given = net(images)
        return nn.functional.cross_entropy(given, labels) + divergence(given, wanted)

    learn(net, task, cost)


METHOD = Method(
    name="HTA-KL",
    key="hta_kl",
    build=build,
    train=train,
    digits=96.8,
    hazard="a spike subtracts the threshold instead of resetting the membrane to 0",
    spoil=reset_by("threshold"),
)

if __name__ == "__main__":
    main(METHOD)
