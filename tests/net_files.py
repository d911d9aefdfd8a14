"""lava-dl files, written with plain h5py as lava-dl's slayer lays them out; netx to run them."""

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snn_deploy.backends.lava.child import run_child

Layer = Mapping[str, Any]
"""Fields of a layer by name; `neuron` is such a mapping again. Texts are stored as slayer does."""


@dataclass(frozen=True)
class Case:
    """A file and what is given to it."""

    name: str
    content: bytes
    values: np.ndarray
    """[step, *shape]."""

    low: int = 0
    high: int = 1
    message_bits: int = 0
    """What netx must be told where values are not 0 and 1."""

    layers: int | None = None
    reset_interval: int | None = None
    reset_offset: int = 0


VARIABLE = "SNN_DEPLOY_LAVA_DL_PYTHON"
ROOT = Path(__file__).parents[1]
RUNNER = ROOT / "tests" / "lava" / "run_netx.py"
TIME_LIMIT = 300.0

States = Mapping[str, np.ndarray]
"""u_0, v_0, s_0, u_1, ... [step, *shape], layer by layer."""


def required_lava_dl() -> Path:
    """Return a Python that has lava-dl, or skip the test, loudly."""
    python = Path(os.environ.get(VARIABLE) or ROOT / ".venv-lava-dl" / "bin" / "python")
    if not python.is_file():
        pytest.skip(f"no lava-dl: {VARIABLE} is unset, and `make lava-dl` was not run")
    return python


def run_netx(python: Path, cases: Sequence[Case], folder: Path) -> dict[str, States]:
    """Return the states of all cases by name, as netx computes them in one child."""
    command: list[str | Path] = [python, RUNNER]
    for case in cases:
        net, given, out = (folder / f"{case.name}{end}" for end in (".net", ".npz", "-out.npz"))
        net.write_bytes(case.content)
        np.savez(
            given,
            input=case.values,
            message_bits=case.message_bits,
            layers=case.layers or 0,
            reset_interval=case.reset_interval or 0,
            reset_offset=case.reset_offset,
        )
        command += [net, given, out]
    run_child(command, folder=folder, time_limit=TIME_LIMIT, what="netx", fix="see its output")
    return {case.name: dict(np.load(folder / f"{case.name}-out.npz")) for case in cases}


def net_bytes(layers: Sequence[Layer]) -> bytes:
    """Return a file of these layers."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_group("layer")
        for index, layer in enumerate(layers):
            _write(file.create_group(f"layer/{index}"), layer)
    return content.getvalue()


def _write(group: h5py.Group, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            _write(group.create_group(name), value)
        elif name == "type" and group.name.count("/") == 2 and isinstance(value, str):
            group.create_dataset(name, (1,), "S10", [value.encode()])
        else:
            group.create_dataset(name, data=value)


def cuba(**changes: Any) -> dict[str, Any]:
    """Return CUBA neurons."""
    usual = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 80, "refDelay": 1}
    return {**usual, "gradedSpike": False, **changes}


def dense(weight: Any, **fields: Any) -> dict[str, Any]:
    """Return a dense layer."""
    weight = np.asarray(weight, np.float32)
    usual: dict[str, Any] = {"type": "dense", "shape": np.array(weight.shape[:1]), "weight": weight}
    return {**usual, "neuron": cuba(), **fields}


def conv(weight: Any, reads: Sequence[int], **fields: Any) -> dict[str, Any]:
    """Return a convolution of images of shape `reads`: channels, height, width."""
    weight = np.asarray(weight, np.float32)
    usual: dict[str, Any] = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}
    geometry = {name: fields.pop(name, value) for name, value in usual.items()}
    sides = []
    for axis in (0, 1):
        stride, padding, dilation = (
            np.broadcast_to(geometry[name], 2)[axis] for name in ("stride", "padding", "dilation")
        )
        reach = dilation * (weight.shape[2 + axis] - 1) + 1
        sides.append((reads[1 + axis] + 2 * padding - reach) // stride + 1)
    shape = np.array([weight.shape[0], *sides])
    return {"type": "conv", "shape": shape, "weight": weight, "neuron": cuba()} | geometry | fields


def random_net(rng: np.random.Generator) -> tuple[list[dict[str, Any]], tuple[int, ...]]:
    """Return a random chain of convolutions, a flatten, and dense layers, and its input shape.

    Weights are even and lean to the positive, thresholds fit the number of inputs, so that most
    layers are active. What netx is known to get wrong is left out.
    """
    groups = int(rng.integers(1, 3))
    reads = (2 * groups, int(rng.integers(6, 10)), int(rng.integers(6, 10)))
    layers: list[dict[str, Any]] = [{"type": "input", "shape": np.array(reads)}]
    entry = reads
    for _ in range(int(rng.integers(1, 3))):
        outs = 2 * int(rng.integers(1, 4))
        groups = 2 if rng.random() < 0.5 else 1
        size = [int(rng.integers(1, min(4, side + 1))) for side in reads[1:]]
        weight = _weights(rng, (outs, reads[0] // groups, *size))
        geometry: dict[str, Any] = {
            "stride": rng.integers(1, 3, 2),
            "padding": rng.integers(0, 3, 2),
            "dilation": rng.integers(1, 3, 2) if min(reads[1:]) > 5 else [1, 1],
            "groups": groups,
        }
        layers.append(conv(weight, reads, neuron=_neurons(rng, weight[0].size, outs), **geometry))
        if rng.random() < 0.7:
            layers[-1]["bias"] = rng.integers(-30, 40, outs)
        reads = tuple(int(side) for side in layers[-1]["shape"])
    layers.append({"type": "flatten", "shape": np.array([np.prod(reads), 1, 1])})
    width = int(np.prod(reads))
    for kind in rng.permutation(["dense", "delayed", "dense_rec"]):
        outs = int(rng.integers(3, 12))
        layer = dense(_weights(rng, (outs, width)), neuron=_neurons(rng, width, outs))
        if rng.random() < 0.5:
            layer["bias"] = rng.integers(-30, 40, outs)
        if kind == "delayed":
            shape = [(), (outs,), (width,), (outs, width)][int(rng.integers(4))]
            layer["delay"] = rng.integers(0, 12, shape)
        if kind == "dense_rec":
            layer |= {"type": "dense_rec", "weight_rec": _weights(rng, (outs, outs))}
        layers.append(layer)
        width = outs
    return layers, entry


def _weights(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    weight = 2 * rng.integers(-60, 72, shape)
    weight.flat[0], weight.flat[-1] = -120, 140  # both signs, whatever is drawn
    return weight.astype(np.float32)


def _neurons(rng: np.random.Generator, fan_in: int, channels: int) -> dict[str, Any]:
    decays: dict[str, Any] = {
        "iDecay": int(rng.integers(200, 4097)),
        "vDecay": int(rng.integers(0, 3000)),
    }
    if rng.random() < 0.3:  # slayer's shared_param=False
        decays = {name: rng.integers(300, 4097, channels) for name in decays}
    threshold = int(rng.integers(60, 160) * fan_in**0.5)
    return cuba(vThMant=threshold, **decays)


def random_case(seed: int, steps: int = 60) -> Case:
    """Return a random chain and random spikes."""
    rng = np.random.default_rng(seed)
    layers, entry = random_net(rng)
    values = (rng.random((steps, *entry)) < 0.3).astype(np.int32)
    return Case(name=f"random-{seed}", content=net_bytes(layers), values=values)


def special_cases(steps: int = 120) -> tuple[Case, ...]:
    """Return files with what slayer writes seldom, and netx reads all the same."""
    rng = np.random.default_rng(1)
    return (
        _input_neurons(rng, steps),
        _one_sign(rng, steps),
        _graded_input(rng, steps),
        _resonators(steps),
        _sigma_delta(steps),
        _with_resets(steps),
    )


def _even(rng: np.random.Generator, low: int, high: int, *shape: int) -> np.ndarray:
    return 2 * rng.integers(low // 2, high // 2, shape)


def _input_neurons(rng: np.random.Generator, steps: int) -> Case:
    """Return an input layer with neurons, a bias per neuron of an image, LOIHI neurons."""
    reads = (2, 5, 6)
    geometry: dict[str, Any] = {"groups": 2, "padding": 1, "stride": [2, 1]}
    image = conv(_even(rng, -60, 90, 4, 1, 3, 2), reads, neuron=cuba(vThMant=300), **geometry)
    image["bias"] = rng.integers(-20, 60, tuple(image["shape"][::-1]))
    flat = int(np.prod(image["shape"]))
    loihi = cuba(type="LOIHI", vThMant=400, wgtExp=0, theta=1.5)
    layers = [
        {"type": "input", "shape": np.array(reads), "neuron": cuba(iDecay=4096, vThMant=400)},
        image,
        {"type": "flatten", "shape": np.array([flat, 1, 1])},
        dense(_even(rng, -60, 90, 5, flat), neuron=loihi, bias=np.array([7])),
    ]
    frame = rng.integers(-60, 120, reads, np.int32, endpoint=True)
    values = np.broadcast_to(frame, (steps, *reads))  # netx holds it in a bias
    return Case(name="input-neurons", content=net_bytes(layers), values=values, low=-60, high=120)


def _one_sign(rng: np.random.Generator, steps: int) -> Case:
    """Return odd weights of one sign, flat weights, and a layer without neurons."""
    silent = dense(rng.integers(-100, 101, (4, 5)))
    del silent["neuron"]
    excitatory, shape = rng.integers(0, 256, (6, 8)).ravel(), np.array([6, 1, 1])
    layers = [
        dense(excitatory, shape=shape, neuron=cuba(vThMant=2500)),
        dense(
            -rng.integers(0, 254, (5, 6)),
            neuron=cuba(vThMant=700),
            bias=rng.integers(100, 400, 5),
        ),
        silent,
    ]
    values = rng.integers(0, 2, (steps, 8), np.int32)
    return Case(name="one-sign", content=net_bytes(layers), values=values)


def _graded_input(rng: np.random.Generator, steps: int) -> Case:
    """Return graded input, weights cut and clipped, delays clamped, currents that never decay.

    A register overflows, too.
    """
    weight = rng.integers(-300, 300, (6, 5)) + 0.6 * (rng.random((6, 5)) < 0.4)
    layers = [
        dense(
            weight,
            delay=rng.choice([0, 3, 61, 62, 63, 80], (6, 5)),
            neuron=cuba(iDecay=0, vDecay=4096, vThMant=9000),
        ),
        dense(_even(rng, -250, 250, 4, 6), delay=2.7, neuron=cuba(vThMant=1 << 17)),
    ]
    values = rng.integers(-5, 9, (steps, 5), np.int32, endpoint=True)
    content = net_bytes(layers)
    return Case(name="graded-input", content=content, values=values, low=-5, high=9, message_bits=8)


def resonator(kind: str, sine: Any, cosine: Any, threshold: int) -> dict[str, Any]:
    """Return resonators."""
    decays = {"sinDecay": np.asarray(sine), "cosDecay": np.asarray(cosine)}
    return {"type": kind, **decays, "vThMant": threshold, "gradedSpike": False}


def complex_dense(real: Any, imag: Any, neuron: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dense layer of complex weights."""
    weight = {"real": np.asarray(real, np.float32), "imag": np.asarray(imag, np.float32)}
    return {
        "type": "dense", "shape": np.array(np.shape(real)[:1]), "weight": weight, "neuron": neuron,
    }  # fmt: skip


def sdnn(**changes: Any) -> dict[str, Any]:
    """Return sigma-delta neurons."""
    return {"type": "SDNN", "activation": "relu", "vThMant": 3, **changes}


def _resonators(steps: int) -> Case:
    """Return both kinds of resonators, and integrators that read them."""
    rng = np.random.default_rng(2)

    def turning(count: int) -> tuple[np.ndarray, np.ndarray]:
        angle, size = rng.uniform(0.3, 2.5, count), rng.uniform(3300, 4000, count)
        return (np.rint(size * part).astype(int) for part in (np.sin(angle), np.cos(angle)))

    one = resonator("RF_PHASE", *turning(1), 90)
    many = resonator("RF_IZHIKEVICH", *turning(1), 120)
    layers = [
        complex_dense(_even(rng, -90, 90, 7, 6), _even(rng, -90, 90, 7, 6), one),
        complex_dense(_even(rng, -90, 90, 5, 7), _even(rng, -90, 90, 5, 7), many),
        dense(_even(rng, -60, 120, 4, 5), neuron=cuba(vThMant=150)),
    ]
    values = (rng.random((steps, 6)) < 0.4).astype(np.int32)
    return Case(name="resonators", content=net_bytes(layers), values=values)


def _sigma_delta(steps: int) -> Case:
    """Return an encoder of changes, sigma-delta layers with biases, and a decoder."""
    rng = np.random.default_rng(4)
    reads = (2, 5, 4)
    image = conv(_even(rng, -60, 90, 3, 2, 2, 2), reads, neuron=sdnn(vThMant=1))
    image["bias"] = rng.integers(-40, 60, 3)
    flat = int(np.prod(image["shape"]))
    last = sdnn(vThMant=0, sigma_output=True)
    layers = [
        {"type": "input", "shape": np.array(reads), "neuron": sdnn(vThMant=4)},
        image,
        {"type": "flatten", "shape": np.array([flat, 1, 1])},
        dense(_even(rng, -30, 40, 6, flat), neuron=sdnn(vThMant=40), bias=np.arange(-4, 8, 2)),
        dense(_even(rng, -60, 90, 4, 6), neuron=sdnn(vThMant=2), delay=[2, 0, 1, 5]),
        dense(_even(rng, -60, 90, 3, 4), neuron=last),
    ]
    frames = rng.integers(-8, 30, (-(-steps // 7), *reads))
    drift = rng.integers(-3, 4, (steps, *reads))
    values = (np.repeat(frames, 7, axis=0)[:steps] + drift).astype(np.int32)
    content = net_bytes(layers)
    return Case(name="sigma-delta", content=content, values=values, low=-11, high=33)


def _with_resets(steps: int) -> Case:
    """Return a random chain whose layers are reset every 17 steps, one after another."""
    case = random_case(1, steps)
    return replace(case, name="resets", reset_interval=17, reset_offset=3)
