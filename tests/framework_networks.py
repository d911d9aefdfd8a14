"""Small torch networks of two kinds of numbers, brought to life: every population is active."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any

import numpy as np

STEPS, SHORT = 200, 40
"""Of a run that is compared, and of one that shows how active a network is."""

Shape = tuple[int, ...]


class Numbers(Enum):
    """What weights, parameters and inputs are."""

    DYADIC = "dyadic"
    """Multiples of a power of two: sums are exact, and ties with the threshold common."""

    RANDOM = "random"


def spikes_in(numbers: Numbers, shape: Shape, seed: int) -> np.ndarray:
    """Return what enters a network, [step, *shape]: of half the values nothing, float32."""
    rng = np.random.default_rng(seed)
    full = (STEPS, *shape)
    values = rng.integers(1, 9, full) / 8 if numbers is Numbers.DYADIC else rng.random(full)
    return np.asarray(values * (rng.random(full) < 0.5), np.float32)


def set_weights(module: Any, numbers: Numbers, seed: int) -> None:
    """Give every weight and bias of a module new numbers; recurrent ones are small."""
    import torch

    rng = np.random.default_rng(seed)
    for name, parameter in module.named_parameters():
        if name.rpartition(".")[2] not in ("weight", "bias", "input_weights", "recurrent_weights"):
            continue
        shape = tuple(parameter.shape)
        values = rng.normal(0.15, 1.0, shape) / max(1.0, np.sqrt(np.prod(shape[1:])))
        if "recurrent" in name or "bias" in name:
            values /= 4
        if numbers is Numbers.DYADIC:
            values = np.rint(values * 64) / 64
        parameter.data = torch.tensor(values, dtype=torch.float32)


def enliven(
    module: Any, neurons: Mapping[str, Any], run: Callable[[int], Mapping[str, np.ndarray]]
) -> Mapping[str, np.ndarray]:
    """Double or halve weights and biases before silent or busy neurons until all are active.

    Args:
        module: The network.
        neurons: Its neuron layers, by name.
        run: Returns what each of them sends in that many steps, [step, *shape].

    Returns:
        What they send in STEPS steps, in the end.
    """
    feeding = _feeding(module, neurons)
    for _ in range(16):
        for steps in (SHORT, STEPS):
            sent = run(steps)
            shares = {name: float(np.mean(spikes != 0)) for name, spikes in sent.items()}
            wrong = [name for name, share in shares.items() if not 0.02 < share < 0.6]
            if wrong:
                break
        else:
            return sent
        # Later layers follow the earlier ones.
        for parameter in feeding[wrong[0]]:
            parameter.data *= 2.0 if shares[wrong[0]] < 0.5 else 0.5
    raise AssertionError(f"the network cannot be made active: {shares}")


def _feeding(module: Any, neurons: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the weights and biases that feed each neuron layer, by its name."""
    found: dict[str, list[Any]] = {}
    last: list[Any] = []
    for name, child in module.named_modules():
        own = getattr(child, "input_weights", None)
        if name in neurons:
            found[name] = last if own is None else [own]
        elif "recurrent" not in name and hasattr(child, "weight"):
            last = list(child.parameters())
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch from sharing out work that is too small for it."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
