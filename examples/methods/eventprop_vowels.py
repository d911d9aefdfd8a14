"""EventProp with learned delays on speech: JapaneseVowels, nine speakers.

The training of `eventprop.py`. The data, of Kudo et al. 1999, come with aeon (270 samples to train,
370 to test; 12 coefficients in 7 to 29 frames). A frame takes two steps; each coefficient sends one
event a frame, on one of three lines by its size.
"""

import hashlib
import importlib.metadata
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from eventprop import METHOD as ORDERS
from eventprop import Delayed
from shared import Task
from torch import nn
from trip import main

FILE = "aeon/datasets/data/JapaneseVowels/JapaneseVowels_{}.ts"
SHA256 = {
    "TRAIN": "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
    "TEST": "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
}
COEFFICIENTS, SPEAKERS, FRAMES = 12, 9, 29
LINES, HIDDEN = 3, 32
STEPS = 2 * FRAMES + 30
"""Two for each frame, and some for what comes late [steps]."""


def read(part: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Return samples [frame, coefficient] and speakers from 0 on.

    Raises:
        FileNotFoundError: aeon's file is not installed.
        ValueError: it is another file.
    """
    try:
        located = importlib.metadata.distribution("aeon").locate_file(FILE.format(part))
    except importlib.metadata.PackageNotFoundError as error:
        install = "python -m pip install --no-deps aeon==1.6.0"
        raise FileNotFoundError(f"the vowels come with a package: {install}") from error
    text = Path(str(located)).read_bytes()
    if hashlib.sha256(text).hexdigest() != SHA256[part]:
        raise ValueError(f"{located} is not the file that these examples were measured on")
    lines = text.decode().split("@data")[1].split()
    rows = [line.split(":") for line in lines]
    series = [np.array([c.split(",") for c in row[:-1]], np.float64).T for row in rows]
    return series, np.array([int(row[-1]) - 1 for row in rows])


def vowels(*, quick: bool) -> Task:
    """Return events of 270 samples to train on and 370 to test, or of fewer."""
    (given, speakers), (tested, others) = read("TRAIN"), read("TEST")
    edges = np.quantile(np.concatenate(given), np.arange(1, LINES) / LINES, axis=0)

    def events(samples: list[np.ndarray]) -> torch.Tensor:
        found = np.zeros((len(samples), STEPS, COEFFICIENTS, LINES), np.float32)
        for index, frames in enumerate(samples):
            line = (frames > edges[:, None]).sum(axis=0)
            step, coefficient = 2 * np.arange(len(frames))[:, None], np.arange(COEFFICIENTS)
            found[index, step, coefficient, line] = 1
        return torch.from_numpy(found).flatten(2)

    chosen = np.linspace(0, len(tested) - 1, 60 if quick else len(tested)).astype(int)
    return Task(
        name="JapaneseVowels",
        images=events(given),
        labels=torch.from_numpy(speakers),
        test_images=events([tested[index] for index in chosen]),
        test_labels=torch.from_numpy(others[chosen]),
        levels=1,
        epochs=2 if quick else 30,
        kernels=lambda: [
            nn.Linear(COEFFICIENTS * LINES, HIDDEN, bias=False),
            nn.Linear(HIDDEN, SPEAKERS, bias=False),
        ],
    )


class Speaking(Delayed):
    """The network of `eventprop.py`, with first weights and rates for many inputs."""

    rates = (0.02, 0.1, 0.2)

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.kernels[0].weight.data.normal_(0.5, 1.0)


METHOD = replace(
    ORDERS,
    name="EventProp, vowels",
    key="eventprop_vowels",
    build=Speaking,
    task=vowels,
)

if __name__ == "__main__":
    main(METHOD)
