"""A model as an export reads it: the network of real numbers, with the options applied."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np

from snn_deploy.deploy.data import data_from
from snn_deploy.deploy.net_files import ONLY_NET
from snn_deploy.deploy.request import Request, choose, range_of
from snn_deploy.deploy.unheard import unheard
from snn_deploy.errors import DataError, OptionError
from snn_deploy.frontends import Imported, Overrides, ResetRule, load
from snn_deploy.frontends.convert import Coding, Conversion
from snn_deploy.frontends.files import FileKind, kind_of, read_bytes
from snn_deploy.ir.codecs import Encode, Encoding, EncodingChanges
from snn_deploy.ir.neuron import Compare, Decode

CONVERSION_SAMPLES = 500
"""Samples of the calibration data that turn an ANN's activations into thresholds."""


def model_content(model: Any) -> bytes | None:
    """Return what a model file holds; None for a model in memory.

    Raises:
        FileMissingError: there is no such file, or it may not be read.
        FileDamagedError: it is too large to be a model.
    """
    if not isinstance(model, str | Path):
        return None
    return read_bytes(Path(model))


def imported(
    model: Any,
    request: Request,
    calibrate: Any = None,
    sample: Any = None,
    *,
    content: bytes | None = None,
) -> Imported:
    """Return the network that `model` holds, with the request's choices applied.

    Of an ANN it is the spiking network that it becomes with the data `calibrate`. What the file
    of a path holds may be given as `content`; else it is read.

    Raises:
        FileMissingError: there is no such file.
        OptionError: an option has a value that does not exist.
        ModelError: the model cannot be read.
    """
    if content is None:
        content = model_content(model)
    overrides = Overrides(
        dt=request.dt,
        reset=choose(ResetRule, request.reset, "--reset"),
        compare=choose(Compare, request.compare, "--compare"),
        floor=request.floor,
        decode=choose(Decode, request.decode, "--decode"),
        encoding=_changes(request),
    )
    for name in request.chosen.keys() & set(ONLY_NET):
        raise unheard(name, "says something about .net files only")
    layers = not _is_nir(model, content)
    found = load(
        model,
        dialect=request.dialect,
        overrides=overrides,
        sample_shape=request.sample_shape,
        arch=request.arch,
        factory=request.module,
        calibration=_ann_samples(calibrate, request) if layers and calibrate is not None else None,
        conversion=_conversion(request) if layers else None,
        sample=None if sample is None else np.asarray(sample),
        content=content,
    )
    if request.steps is not None and found.encoding.how is Encode.RECORDED:
        raise OptionError(
            "recorded data has its own number of steps",
            where="--steps",
            fix="--encode current or --encode rate, or leave --steps out",
        )
    if request.encode is not None and found.encoding.how is not Encode.RECORDED:
        _check_steps(found.encoding)
    if request.seed is not None and found.encoding.how is not Encode.RATE:
        raise OptionError(
            "a seed says something about the rate encoder only",
            where="--seed",
            fix="--encode rate, or leave --seed out",
        )
    if request.name is not None:
        if not request.name:
            raise OptionError("a network needs a name", where="--name", fix="--name net")
        found = replace(found, network=replace(found.network, name=request.name))
    return found


def _check_steps(encoding: Encoding) -> None:
    """Refuse an encoder of values that does not know how many steps to make of them.

    Raises:
        OptionError: it does not.
    """
    if encoding.steps is None:
        raise OptionError(
            f"the {encoding.how.value} encoder needs a number of steps",
            where="--encode",
            fix=f"--encode {encoding.how.value} --steps T",
        )


def _is_nir(model: Any, content: bytes | None) -> bool:
    """Return whether a model's neurons are NIR's, so that it is no ANN to convert."""
    if content is None:
        return isinstance(model, bytes | nir.NIRGraph)
    return kind_of(content, Path(model).name) is FileKind.NIR


def _ann_samples(
    calibrate: Any, request: Request
) -> Callable[[tuple[str, ...]], Mapping[str, np.ndarray]]:
    """Return a function that gives samples to convert an ANN with, for the names of its inputs.

    It is called for ANNs only, and raises an OptionError where none can be shown its values so.
    """

    def samples(names: tuple[str, ...]) -> Mapping[str, np.ndarray]:
        if request.encode == Encode.LATENCY.value:
            raise OptionError(
                "an ANN becomes a network of currents or rates, not one of first spikes",
                where="--encode",
                fix="--encode current or --encode rate",
            )
        data = data_from(calibrate, names).spread(CONVERSION_SAMPLES)
        return {values.name: values.values for values in data.arrays}

    return samples


def _conversion(request: Request) -> Conversion:
    """Return how an ANN becomes a spiking network: what the encoder's options say of it."""
    plain = Conversion()
    coding = plain.coding
    if request.encode in (Encode.CURRENT.value, Encode.RATE.value):
        coding = choose(Coding, request.encode, "--encode")
    return replace(
        plain,
        steps=plain.steps if request.steps is None else request.steps,
        coding=coding,
        seed=plain.seed if request.seed is None else request.seed,
    )


def _changes(request: Request) -> EncodingChanges:
    low = high = None
    if request.input_range is not None:
        low, high = range_of(request.input_range)
    changes = EncodingChanges(
        how=choose(Encode, request.encode, "--encode"),
        steps=request.steps,
        seed=request.seed,
        low=low,
        high=high,
        unit=request.input_unit,
    )
    try:
        changes.applied(Encoding())
    except DataError as problem:
        raise OptionError(problem.message, fix=problem.fix) from None
    return changes
