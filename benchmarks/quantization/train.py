"""Train the benchmark's networks in plain torch and save their weights (float16, compressed).

python benchmarks/quantization/train.py                        # every task, seeds 0, 1 and 2
python benchmarks/quantization/train.py --task spike-times --seeds 0
"""

import argparse
import math
import time
from typing import Any

import numpy as np
import torch
from tasks import TASKS, Data, Task
from torch import Tensor, nn
from torch.nn import functional

from snn_deploy.ir.neuron import Decode

SEEDS = (0, 1, 2)
BATCH = 128
SLOPE = 4.0


class Spike(torch.autograd.Function):
    """1 where the membrane is above the threshold; the gradient of a scaled arctangent."""

    @staticmethod
    def forward(ctx: Any, excess: Tensor) -> Tensor:
        ctx.save_for_backward(excess)
        return (excess > 0).to(excess.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (excess,) = ctx.saved_tensors
        return grad / (1 + (SLOPE * excess) ** 2)


class Spiking(nn.Module):
    """The network of a task, as `tasks.network_of` makes it of the same weights."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.numbers = nn.ParameterDict()
        shape = task.shape
        for number, layer in enumerate(task.layers):
            if layer.kernel:
                size = (layer.out, shape[0], layer.kernel, layer.kernel)
                side = (shape[1] - layer.kernel) // layer.stride + 1
                shape = (layer.out, side, side)
            else:
                size = (layer.out, math.prod(shape))
                shape = (layer.out,)
            self._draw(f"w{number}", size, 1.0)
            if layer.recurrent:
                self._draw(f"r{number}", (layer.out, layer.out), 0.5)
            if layer.bias:
                self.numbers[f"b{number}"] = nn.Parameter(torch.zeros(layer.out))

    def _draw(self, name: str, size: tuple[int, ...], spread: float) -> None:
        deviation = spread / math.sqrt(math.prod(size[1:]))
        self.numbers[name] = nn.Parameter(torch.randn(size) * deviation)

    def forward(self, spikes: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the answers and the spikes of the hidden layers for [step, sample, *shape]."""
        hidden: list[Tensor] = []
        for number, layer in enumerate(self.task.layers):
            weight, bias = self.numbers[f"w{number}"], self._get(f"b{number}")
            if layer.kernel:
                flat = spikes.flatten(0, 1)
                drive = functional.conv2d(flat, weight, bias, layer.stride)
                drive = drive.unflatten(0, spikes.shape[:2])
            else:
                drive = functional.linear(spikes.flatten(2), weight, bias)
            last = number == len(self.task.layers) - 1
            membranes, spikes = self._run(number, drive, last)
            if not last:
                hidden.append(spikes)
        answer = {
            Decode.MEMBRANE_MEAN: lambda v: v.mean(dim=0),
            Decode.MEMBRANE_MAX: lambda v: v.amax(dim=0),
            Decode.MEMBRANE_END: lambda v: v[-1],
        }[self.task.decode](membranes)
        return answer, hidden

    def _get(self, name: str) -> Tensor | None:
        return self.numbers.get(name)

    def _run(self, number: int, drive: Tensor, last: bool) -> tuple[Tensor, Tensor]:
        layer, recurrent = self.task.layers[number], self._get(f"r{number}")
        v = current = spike = torch.zeros_like(drive[0])
        membranes, fired = [], []
        for added in drive:
            if recurrent is not None:
                added = added + spike @ recurrent.T  # noqa: PLW2901
            if layer.current_decay is not None:
                current = layer.current_decay * current + added
            v = layer.decay * v + (added if layer.current_decay is None else current)
            if not last:
                spike = Spike.apply(v - 1)
                v = v * (1 - spike.detach())
            membranes.append(v)
            fired.append(spike)
        return torch.stack(membranes), torch.stack(fired)


def batches(data: Data) -> Any:
    """Yield (spikes [step, sample, *shape], labels) once over the training data, shuffled."""
    for part in torch.randperm(len(data.train)).split(BATCH):
        spikes = torch.from_numpy(data.train[part.numpy()]).float().transpose(0, 1)
        yield spikes, torch.from_numpy(data.train_label[part.numpy()])


def activity_cost(hidden: list[Tensor]) -> Tensor:
    """Return what neurons cost that fire in more than 15 % of the steps."""
    excess = [functional.relu(s.mean(dim=(0, 1)) - 0.15).mean() for s in hidden]
    return torch.stack(excess).sum()


def train(task: Task, seed: int) -> None:
    """Train one network, print its accuracy, write its weights."""
    torch.manual_seed(seed)
    start, data, net = time.perf_counter(), task.data(seed), Spiking(task)
    optimizer = torch.optim.AdamW(net.parameters(), lr=task.learning_rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, task.learning_rate, total_steps=task.epochs * math.ceil(len(data.train) / BATCH)
    )
    for _ in range(task.epochs):
        for spikes, label in batches(data):
            answer, hidden = net(spikes)
            loss = functional.cross_entropy(answer, label) + activity_cost(hidden)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        for number in net.numbers.values():
            number.copy_(number.half().float())
        answer, hidden = net(torch.from_numpy(data.test).float().transpose(0, 1))
    right = float(np.mean(answer.argmax(dim=1).numpy() == data.test_label))
    rates = ", ".join(f"{s.mean().item():.3f}" for s in hidden)
    file = task.file(seed)
    file.parent.mkdir(exist_ok=True)
    kept = {
        name: number.detach().numpy().astype(np.float16) for name, number in net.numbers.items()
    }
    np.savez_compressed(file, **kept)
    took = time.perf_counter() - start
    print(f"{task.name} {seed}: {100 * right:.2f} %, loss {loss.item():.3f}, spikes per neuron and "
          f"step {rates}, {file.stat().st_size // 1000} kB, {took:.0f} s", flush=True)  # fmt: skip


def main() -> None:
    """Train what is asked for."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--task", choices=[t.name for t in TASKS])
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for task in TASKS:
        if given.task in (None, task.name):
            for seed in given.seeds:
                train(task, seed)


if __name__ == "__main__":
    main()
