"""Fine-tune a network as integers: a few epochs with the labels and the real-valued network's
answers as targets."""

import math

import numpy as np
import torch
from measure import BLOCK, Case
from torch.nn import functional

from snn_deploy.ir.codecs import decode, needs
from snn_deploy.ir.program import Program
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import Recording, Values
from snn_deploy.quantize import Options
from snn_deploy.quantize.torch import prepare
from snn_deploy.targets import Target

BATCH = 64
SPREAD = 3.0
"""Standard deviation of the answers, at least, that the loss sees: a softmax of less is flat."""


def fine_tuned(
    case: Case, target: Target, options: Options, *, epochs: int, samples: int | None = None
) -> Program:
    """Return the program after some epochs over the first `samples` of a shuffled training set."""
    torch.manual_seed(case.seed)
    rng = np.random.default_rng(case.seed)
    kept = rng.permutation(len(case.train))[:samples]
    train, label = case.train[kept], torch.from_numpy(case.train_label[kept])
    teacher = torch.from_numpy(_answers(case, train)).float()
    stretch = max(1.0, SPREAD / float(teacher.std()))
    teacher = teacher * stretch
    tuned = prepare(
        case.network,
        target,
        encoding=case.encoding,
        calibration=case.calibration,
        options=options,
    )
    optimizer = torch.optim.Adam(tuned.groups())
    steps = epochs * math.ceil(len(train) / BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for part in torch.randperm(len(train)).split(BATCH):
            answer = tuned(torch.from_numpy(train[part.numpy()]).float()).answer.float() * stretch
            loss = functional.cross_entropy(answer, label[part]) + functional.cross_entropy(
                answer / 2, (teacher[part] / 2).softmax(dim=1)
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(tuned.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return tuned.compiled().program


def _answers(case: Case, inputs: np.ndarray) -> np.ndarray:
    """Return the answers of the real-valued network [sample, neuron]."""
    network, output = case.network, case.network.outputs[0]
    record = Recording(states=frozenset({needs(output.decode)}), populations=(output.population,))
    answers = []
    for start in range(0, len(inputs), BLOCK):
        block = inputs[start : start + BLOCK].astype(np.float64)
        trace = simulate(network, [Values(name=network.inputs[0].name, values=block)], record)
        answers.append(decode(trace[output.population], output.decode, 0, block.shape[1]))
    return np.concatenate(answers)
