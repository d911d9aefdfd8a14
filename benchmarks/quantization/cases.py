"""Make the benchmark's cases: trained weights from this folder, and the published CNN."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import Case
from tasks import EXAMPLE, TASKS, Task, network_of

from snn_deploy.ir.codecs import Encoding, encode_current
from snn_deploy.ir.trace import Values

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "sinabs" / "mnist_params.pt"
PUBLISHED_NAME = "published-cnn"
PUBLISHED_STEPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much data is used."""

    samples: int
    """Test samples at most."""

    calibration: int
    """Training samples that scales and roundings are chosen on."""


def trained(task: Task, seed: int, amount: Amount) -> Case:
    """Return a task's network of one seed.

    Raises:
        FileNotFoundError: it was not trained yet.
    """
    file = task.file(seed)
    if not file.exists():
        raise FileNotFoundError(f"{file}: train.py --task {task.name} --seeds {seed} writes it")
    with np.load(file) as stored:
        weights = {name: stored[name] for name in stored.files}
    data = task.data(seed)
    return Case(
        name=task.name,
        seed=seed,
        network=network_of(task, weights),
        encoding=Encoding(),
        calibration=_calibration("input", data.train, amount.calibration),
        train=data.train,
        train_label=data.train_label,
        test=data.test[: amount.samples],
        test_label=data.test_label[: amount.samples],
    )


def published(amount: Amount) -> Case:
    """Return the CNN of sinabs' `mnist_params.pt` as a spiking network of integrate-and-fire
    neurons, with pixels as constant currents.

    Raises:
        FileNotFoundError: the file is not there.
    """
    if not PUBLISHED.exists():
        raise FileNotFoundError(f"{PUBLISHED}: weights that sinabs publishes")
    folder = EXAMPLE.parent / "conversion"
    sys.path[:0] = [str(folder), str(EXAMPLE)]
    try:
        import convert_digits  # noqa: PLC0415 - the example's folder is no package
    finally:
        del sys.path[:2]
    from snn_deploy.frontends.convert import Conversion, convert  # noqa: PLC0415 - reads torch

    digits = convert_digits.split()
    layers = convert_digits.read(PUBLISHED, folder / "sinabs_mnist.toml")
    converted = convert(layers, digits.calibration, Conversion(steps=PUBLISHED_STEPS))
    network = convert_digits.network_of(converted)
    unit = converted.encoding.unit

    def steps(images: np.ndarray) -> np.ndarray:
        whole = np.rint(images / unit) * unit  # what enters the chip enters the float network
        return encode_current(whole.astype(np.float32), PUBLISHED_STEPS)

    half = len(digits.scored) // 2
    scored = slice(half, half + amount.samples)
    return Case(
        name=PUBLISHED_NAME,
        seed=0,
        network=network,
        encoding=converted.encoding,
        calibration=_calibration(
            network.inputs[0].name, steps(digits.calibration), amount.calibration // 4
        ),
        train=steps(digits.scored[:half]),
        train_label=digits.labels[:half],
        test=steps(digits.scored[scored]),
        test_label=digits.labels[scored],
    )


def _calibration(name: str, train: np.ndarray, samples: int) -> tuple[Values, ...]:
    """Return training samples, evenly spread."""
    chosen = np.linspace(0, len(train) - 1, samples).astype(int)
    return (Values(name=name, values=train[chosen].astype(np.float64)),)


def cases(names: Sequence[str], seeds: Sequence[int], amount: Amount) -> Iterator[Case]:
    """Yield the cases that are there; what is missing is said, loudly."""
    for task in TASKS:
        for seed in seeds if task.name in names else ():
            try:
                yield trained(task, seed, amount)
            except FileNotFoundError as missing:
                print(f"LEFT OUT: {missing}", file=sys.stderr, flush=True)
    if PUBLISHED_NAME in names:
        try:
            yield published(amount)
        except FileNotFoundError as missing:
            print(f"LEFT OUT: {missing}", file=sys.stderr, flush=True)
