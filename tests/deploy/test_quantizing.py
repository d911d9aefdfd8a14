"""Bits by word, by layer and by search: what an export makes of its options for rounding."""

import itertools

import nir
import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy.quantizing import parse_bits
from snn_deploy.errors import DataError, OptionError


@pytest.mark.parametrize(
    ("given", "bits"),
    [
        ("4", 4),
        (4, 4),
        ("fc1=3,fc2=8", {"fc1": 3, "fc2": 8}),
        ("4, fc2=8", {"*": 4, "fc2": 8}),
        ({"fc1": 3}, {"fc1": 3}),
        (None, None),
    ],
)
def test_bits_are_one_number_or_one_per_layer(given, bits):
    assert parse_bits(given) == bits


@pytest.mark.parametrize("given", ["", "four", "fc1=", "=3", "4,5", "fc1=3,fc1=4", "fc1=-3", "4.5"])
def test_a_text_that_says_no_bits_is_refused(given):
    with pytest.raises(OptionError) as caught:
        parse_bits(given)
    assert str(caught.value) == (
        f"error[SNN102]: {given!r} says no bits\n"
        "  at: --bits\n"
        "  fix: --bits 4, --bits fc1=3,fc2=8, --bits 4,fc2=8 or --bits auto"
    )


def network() -> nir.NIRGraph:
    """Return two layers: spikes of 12 inputs, six and then two LIF neurons."""
    rng = np.random.default_rng(0)
    first = np.kron(np.eye(2), np.full((3, 6), 0.3)) + rng.normal(0, 0.05, (6, 12))
    second = np.kron(np.eye(2), np.full((1, 3), 0.5)) + rng.normal(0, 0.05, (2, 6))

    def neurons(size: int) -> nir.LIF:
        one = np.ones(size)
        return nir.LIF(tau=10 * one, r=10 * one, v_leak=0 * one, v_threshold=one)

    nodes = {
        "input": nir.Input(np.array([12])),
        "fc1": nir.Linear(first),
        "hidden": neurons(6),
        "fc2": nir.Linear(second),
        "answer": neurons(2),
        "output": nir.Output(np.array([2])),
    }
    return nir.NIRGraph(nodes, list(itertools.pairwise(nodes)))


def data(samples: int = 60) -> dict[str, np.ndarray]:
    """Return samples in which the first or the last six inputs are busier, with labels."""
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, samples)
    busy = np.repeat(np.eye(2), 6, axis=1)[label] * 0.4 + 0.1
    return {"input": (rng.random((samples, 25, 12)) < busy[:, None]).astype(int), "label": label}


def exported(**options):
    return snn_deploy.export(network(), dialect="nir", dt=1.0, **options)


def test_the_search_finds_fewer_bits_and_says_what_they_lose():
    given = data()
    found = exported(bits="auto", max_drop=2.0, calibrate=given, search=False)
    told = [f for f in found.findings if f.amount.startswith("--bits ")]
    assert len(told) == 1
    bits = parse_bits(told[0].amount.split()[1].rstrip(":"))
    assert sum(bits.values()) < 16
    for name in bits:
        wires = found.program.into(name)
        assert all(len(np.unique(w.map.numbers())) <= 2 ** bits[name] for w in wires)
    right = snn_deploy.evaluate(found, data=given)
    assert right.correct >= right.correct_real - 0.02 * right.samples
    again = exported(bits=bits, calibrate=given, search=False)
    assert again.program.digest == found.program.digest


def test_bits_reach_the_layer_that_is_named():
    program = exported(bits="fc1=2").program
    sizes = [len(np.unique(p.map.numbers())) for p in program.projections]
    assert sizes[0] <= 4 < sizes[1]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"bits": "auto"},
            "bits are searched on labelled data\n"
            "  at: --bits auto\n"
            "  fix: --calibrate DATA with labels, or --bits 4",
        ),
        (
            {"bits": 4, "max_drop": 1.0},
            "--max-drop says how bits are searched, and they are not\n"
            "  at: --max-drop\n"
            "  fix: --bits auto, or leave --max-drop out",
        ),
        (
            {"search": "optuna"},
            "--search says how bits are searched, and they are not\n"
            "  at: --search\n"
            "  fix: --bits auto, or leave --search out",
        ),
        (
            {"rounding": "up"},
            "--rounding is one of nearest, gptq, not 'up'\n  fix: --rounding nearest",
        ),
        (
            {"bits": "auto", "max_drop": -1.0, "calibrate": data(4)},
            "a loss of -1 points\n  at: --max-drop\n  fix: --max-drop 0.5",
        ),
    ],
    ids=["no data", "max-drop", "search", "word", "drop"],
)
def test_options_that_contradict_each_other_are_refused(options, text):
    with pytest.raises(OptionError) as caught:
        exported(**options)
    assert str(caught.value) == f"error[SNN102]: {text}"


def test_a_search_needs_labels():
    with pytest.raises(DataError) as caught:
        exported(bits="auto", calibrate=data(4)["input"])
    assert str(caught.value) == (
        "error[SNN208]: to bound the loss of accuracy the calibration data needs labels\n"
        "  at: --calibrate\n"
        "  fix: np.savez(FILE, input=array, label=whole numbers), or --bits 4"
    )
