"""A task that cannot be solved without delays: the order of four spikes, far apart."""

import itertools

import torch
from shared import Task
from torch import Tensor, nn

INPUTS, CLASSES, HIDDEN = 4, 6, 4
APART = 12
"""Steps between two spikes of a pattern: more than membranes remember."""

BEGIN, JITTER, NOISE = 24, 1, 0.001
"""Steps in which a pattern begins, by which each spike is off; further spikes a step and input."""

STEPS = 130
"""The pattern, the longest delay, and some to be read in."""


def pattern_task(*, quick: bool) -> Task:
    """Return samples in which each input spikes once, 12 steps apart; the class is the order.

    All inputs spike as often in all classes and no pattern begins at a known step, so that only
    what two spikes do together tells them apart: they must be brought together.
    """
    generator = torch.Generator().manual_seed(5)
    orders = torch.tensor(list(itertools.permutations(range(INPUTS))))
    orders = orders[torch.randperm(len(orders), generator=generator)[:CLASSES]]

    def made(samples: int) -> tuple[Tensor, Tensor]:
        labels = torch.randint(CLASSES, (samples,), generator=generator)
        begin = torch.randint(JITTER, BEGIN, (samples, 1), generator=generator)
        off = torch.randint(-JITTER, JITTER + 1, (samples, INPUTS), generator=generator)
        spikes = (torch.rand(samples, STEPS, INPUTS, generator=generator) < NOISE).float()
        spikes[:, BEGIN + APART * INPUTS :] = 0  # what comes later could not arrive any more
        return spikes.scatter_(1, (APART * orders[labels] + begin + off)[:, None], 1.0), labels

    given, tested = made(400 if quick else 1200), made(100 if quick else 1000)
    return Task(
        name="orders",
        images=given[0],
        labels=given[1],
        test_images=tested[0],
        test_labels=tested[1],
        levels=1,
        epochs=2 if quick else 10,
        kernels=lambda: [
            nn.Linear(INPUTS, HIDDEN, bias=False),
            nn.Linear(HIDDEN, CLASSES, bias=False),
        ],
    )
