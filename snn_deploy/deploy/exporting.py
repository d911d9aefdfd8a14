"""What `export` does: read, override, compile, pack, write."""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec
import nir
import numpy as np

from snn_deploy.backends.protocol import check_range, find_backend
from snn_deploy.deploy.artifact import check_output
from snn_deploy.deploy.data import Data, data_from, encode
from snn_deploy.deploy.decisions import decisions_of
from snn_deploy.deploy.deployment import Deployment, digest
from snn_deploy.deploy.early_exit import check_early_exit, early_exit_of
from snn_deploy.deploy.mapped import Room, mapped
from snn_deploy.deploy.mapping import Goal
from snn_deploy.deploy.quantizing import Wishes, search_bits
from snn_deploy.deploy.thresholds import parse_thresholds, with_thresholds
from snn_deploy.errors import DataError, OptionError
from snn_deploy.frontends import Imported, Overrides, ResetRule, load
from snn_deploy.frontends.convert import Coding, Conversion
from snn_deploy.frontends.files import FileKind, kind_of, read_bytes
from snn_deploy.frontends.lava_dl import NetProgram, read_net
from snn_deploy.ir.checks import LARGEST
from snn_deploy.ir.codecs import Encode, Encoding, EncodingChanges
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.neuron import Compare, Decode
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import Values
from snn_deploy.quantize import check_program, compile_network
from snn_deploy.targets import Target, find_target

CONVERSION_SAMPLES = 500
"""Samples of the calibration data that turn an ANN's activations into thresholds."""

CALIBRATION_SAMPLES = 256
"""Samples of the calibration data that scales are chosen on."""

REPORTED_SAMPLES = 16
"""Samples of the calibration data that the report is measured on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options of an export that change its result; see `api.export`."""

    target: str = "loihi"
    dialect: str | None = None
    dt: float | None = None
    reset: str | None = None
    compare: str | None = None
    floor: float | None = None
    encode: str | None = None
    steps: int | None = None
    seed: int | None = None
    decode: str | None = None
    input_range: str | None = None
    input_unit: float | None = None
    bits: Any = None
    preset: str | None = None
    objective: str | None = None
    rounding: str | None = None
    bias_correction: bool | None = None
    per_channel: bool | None = None
    max_drop: float | None = None
    least: str | None = None
    search: str | bool = True
    prove: bool = False
    allow_overflow: bool = False
    time_dilation: str | None = None
    cores: Any = None
    optimize: str | None = None
    chips: int | None = None
    thresholds: Any = None
    exit_lead: float | None = None
    exit_after: int | None = None
    sample_shape: tuple[int, ...] | None = None
    arch: str | None = None
    module: str | None = None
    layers: int | None = None
    reset_interval: int | None = None
    reset_offset: int = 0
    name: str | None = None

    @property
    def chosen(self) -> Mapping[str, Any]:
        """The options that are not left at their default."""
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name == "target" or getattr(self, f.name) != f.default
        }


def export(
    model: Any,
    request: Request,
    *,
    calibrate: Any,
    sample: Any = None,
    output: Path | None,
    force: bool,
    dry_run: bool,
) -> Deployment:
    """Return the deployment of `model`, written to `output`; see `api.export`."""
    target = find_target(request.target)
    if isinstance(model, str | Path) and output is None:
        output = Path(f"{Path(model).stem}-{target.name}")
    if output is not None:
        check_output(output, force=force)
    if is_net(model):
        check_net(request, calibrate=calibrate, sample=sample)
        deployment = _net_deployment(Path(model), request, target, output)
    else:
        deployment = _deployment(model, request, target, output, calibrate=calibrate, sample=sample)
    if output is not None and not dry_run:
        deployment.save(output, force=force)
    return deployment


def _deployment(
    model: Any,
    request: Request,
    target: Target,
    output: Path | None,
    *,
    calibrate: Any,
    sample: Any,
) -> Deployment:
    """Return the deployment of a network of real numbers, as integers, on its cores."""
    room = _room(request)
    deployment, data = unmapped(model, request, target, calibrate=calibrate, sample=sample)
    return mapped(replace(deployment, folder=output), data, room)


def unmapped(
    model: Any,
    request: Request,
    target: Target,
    *,
    calibrate: Any,
    sample: Any = None,
    content: bytes | None = None,
) -> tuple[Deployment, Data | None]:
    """Return the deployment of a network of real numbers, without its map, and the data.

    Args:
        model: What is deployed.
        request: How.
        target: The chip.
        calibrate: What scales are chosen on.
        sample: What a module is run on, see `api.export`.
        content: What the file `model` holds; None: it is read.

    Raises:
        DeployError: with the number that says what is wrong.
    """
    if content is None:
        content = model_content(model)
    rule = early_exit_of(request.chosen)
    found = imported(model, request, calibrate, sample, content=content)
    found = with_thresholds(found, parse_thresholds(request.thresholds))
    configuration = configured(request, target)
    wishes = Wishes(**{f.name: getattr(request, f.name) for f in fields(Wishes)})
    options = wishes.options(choose).checked(target)
    calibration = None
    data: Data | None = None
    searched: list[Finding] = []
    if calibrate is not None:
        data, calibration, configuration["calibrate"] = _calibration(found, calibrate)
        if wishes.automatic:
            result = search_bits(
                found, target, data, calibration, wishes=wishes, options=options, choose=choose
            )
            options = replace(options, weight_bits=result.bits)
            searched.append(result.finding)
    elif wishes.automatic:
        raise OptionError(
            "bits are searched on labelled data",
            where="--bits auto",
            fix="--calibrate DATA with labels, or --bits 4",
        )
    compiled = compile_network(
        found.network,
        target,
        encoding=found.encoding,
        calibration=calibration,
        options=options,
    )
    check_early_exit(rule, compiled.program)
    source = found.nir_bytes if content is None else content
    deployment = Deployment(
        program=compiled.program,
        target=target,
        encoding=found.encoding,
        nir=found.nir_bytes,
        pipeline=tuple(compiled.pipeline.splitlines()),
        findings=(
            *found.findings,
            *_input_findings(found),
            *searched,
            *_native(compiled.findings, compiled.program, target),
        ),
        layers=tuple(msgspec.json.decode(msgspec.json.encode(r)) for r in compiled.layers),
        model_digest=digest(source),
        model_bytes=len(source),
        configuration=configuration,
        decisions=decisions_of(found),
        samples=None if data is None else data.spread(REPORTED_SAMPLES),
    )
    return deployment, data


def _room(request: Request) -> Room:
    """Return how many cores and chips a request allows."""
    goal = choose(Goal, request.optimize, "--optimize")
    return Room.of(request.cores, goal, request.chips)


def model_content(model: Any) -> bytes | None:
    """Return what a model file holds; None for a model in memory.

    Raises:
        FileMissingError: there is no such file, or it may not be read.
        FileDamagedError: it is too large to be a model.
    """
    if not isinstance(model, str | Path):
        return None
    return read_bytes(Path(model))


def configured(request: Request, target: Target) -> dict[str, Any]:
    """Return the options of an export as the manifest has them: files by name and digest."""
    configuration = {**request.chosen, "target": target.name}
    if request.target not in (target.name, *target.aliases):
        own = Path(request.target)
        content = own.read_bytes()
        configuration["target"] = {
            "name": target.name,
            "file": own.name,
            "sha256": digest(content),
        }
    if request.arch is not None:
        content = Path(request.arch).read_bytes()
        configuration["arch"] = {"name": Path(request.arch).name, "sha256": digest(content)}
    return configuration


def is_net(model: Any) -> bool:
    """Return whether a model is a file of lava-dl, which holds integers already."""
    return isinstance(model, str | Path) and Path(model).suffix.lower() == ".net"


ONLY_NET = ("layers", "reset_interval", "reset_offset")
"""Options of an export that mean something for a network of integers, and for no other."""

OF_CORES = ("cores", "optimize", "chips")
"""Options of an export that say which cores hold the network."""

NET_OPTIONS = {"target", "decode", "dt", "input_range", "sample_shape", "name"}
NET_OPTIONS |= {*OF_CORES, *ONLY_NET}
"""Options of an export that mean something for a network of integers."""


def check_net(request: Request, *, calibrate: Any = None, sample: Any = None) -> None:
    """Refuse what says nothing about a file of integers.

    Raises:
        OptionError: the first such option.
    """
    given = {"calibrate": calibrate, "sample": sample}
    wrong = sorted(request.chosen.keys() - NET_OPTIONS)
    wrong += [name for name, value in given.items() if value is not None]
    if wrong:
        option = wrong[0].replace("_", "-")
        raise OptionError(
            f"--{option} says nothing about a .net file: it holds integers already",
            where=f"--{option}",
            fix=f"leave --{option} out",
        )


def _net_deployment(
    model: Path, request: Request, target: Target, output: Path | None
) -> Deployment:
    """Return the deployment of a lava-dl file: its integers, as they are."""
    room = _room(request)
    content = read_bytes(model)
    found = net_program(model.name, content, request, target)
    checked = check_program(found.program, target)
    entry = found.program.inputs[0]
    deployment = Deployment(
        program=found.program,
        target=target,
        encoding=Encoding(low=entry.low, high=entry.high),
        nir=None,
        pipeline=("read-net: the integers of the file",),
        findings=(*found.findings, *_native(checked, found.program, target)),
        layers=(),
        model_digest=digest(content),
        model_bytes=len(content),
        configuration=configured(request, target),
        folder=output,
    )
    return mapped(deployment, room=room)


def net_program(where: str, content: bytes, request: Request, target: Target) -> NetProgram:
    """Return the integers of a lava-dl file, as the request wants them."""
    return read_net(
        content,
        name=Path(where).stem if request.name is None else request.name,
        where=where,
        target=target.name,
        arithmetic=target.arithmetic,
        input_range=(0, 1) if request.input_range is None else _range(request.input_range),
        input_shape=request.sample_shape,
        layers=request.layers,
        decode=choose(Decode, request.decode, "--decode"),
        dt=request.dt,
        reset_interval=request.reset_interval,
        reset_offset=request.reset_offset,
    )


def _native(findings: Sequence[Finding], program: Program, target: Target) -> Iterator[Finding]:
    """Yield what compiling found; what runs natively is said by the chip's own backend."""
    if not target.writer:
        yield from findings
        return
    yield from (f for f in findings if f.kind is not Kind.SIMULATED)
    yield from find_backend(target.writer).supports(program, target)


def _input_findings(found: Imported) -> Iterator[Finding]:
    if found.encoding.how is Encode.CURRENT and found.encoding.unit != 1:
        for entry in found.network.inputs:
            yield Finding(
                kind=Kind.ROUNDED,
                layer=entry.name,
                amount=f"input currents become multiples of {found.encoding.unit:g}",
                reason="the chip reads whole numbers; --input-unit states the step",
            )


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
        option = f"--{name.replace('_', '-')}"
        raise OptionError(
            f"{option} says something about .net files only",
            where=option,
            fix=f"leave {option} out",
        )
    layers = not _is_nir(model, content)
    found = load(
        model,
        dialect=request.dialect,
        overrides=overrides,
        sample_shape=request.sample_shape,
        arch=request.arch,
        factory=request.module,
        calibration=_ann_samples(calibrate) if layers and calibrate is not None else None,
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
    if request.name is not None:
        if not request.name:
            raise OptionError("a network needs a name", where="--name", fix="--name net")
        found = replace(found, network=replace(found.network, name=request.name))
    return found


def _is_nir(model: Any, content: bytes | None) -> bool:
    """Return whether a model's neurons are NIR's, so that it is no ANN to convert."""
    if content is None:
        return isinstance(model, bytes | nir.NIRGraph)
    return kind_of(content, Path(model).name) is FileKind.NIR


def _ann_samples(calibrate: Any) -> Callable[[tuple[str, ...]], Mapping[str, np.ndarray]]:
    """Return a function that gives samples to convert an ANN with, for the names of its inputs."""

    def samples(names: tuple[str, ...]) -> Mapping[str, np.ndarray]:
        data = data_from(calibrate, names).spread(CONVERSION_SAMPLES)
        return {values.name: values.values for values in data.arrays}

    return samples


def _conversion(request: Request) -> Conversion:
    """Return how an ANN becomes a spiking network: what the encoder's options say of it."""
    plain = Conversion()
    coding = plain.coding
    if request.encode is not None and request.encode != Encode.RECORDED.value:
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
        low, high = _range(request.input_range)
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


def shape_of(text: Any) -> tuple[int, ...] | None:
    """Return the shape that a text such as `1x28x28` says; a sequence of sizes stays one.

    Raises:
        OptionError: it says none.
    """
    if text is None:
        return None
    try:
        if isinstance(text, str):
            shape = tuple(int(size) for size in text.replace("*", "x").split("x"))
        else:
            shape = tuple(operator.index(size) for size in text)
    except (ValueError, TypeError):
        shape = ()
    if not shape or not 1 <= min(shape) <= max(shape) <= LARGEST:
        raise OptionError(
            f"{text!r} is no shape",
            where="--sample-shape",
            fix="--sample-shape 1x28x28; in Python sample_shape=(1, 28, 28), without batch and "
            "time",
        )
    return shape


def _range(text: str) -> tuple[int, int]:
    low, colon, high = text.partition(":")
    try:
        limits = int(low), int(high)
    except ValueError:
        limits = 1, 0
    if not colon or limits[0] > limits[1]:
        raise OptionError(
            f"{text!r} is no range of whole numbers", where="--input-range", fix="--input-range 0:1"
        )
    return limits


def choose(kind: type[Any], word: str | None, option: str) -> Any:
    """Return the member of the enum `kind` whose value is `word`; None for None.

    Raises:
        OptionError: there is none.
    """
    if word is None:
        return None
    for member in kind:
        if member.value == word:
            return member
    words = [member.value for member in kind]
    raise OptionError(
        f"{option} is one of {', '.join(words)}, not {word!r}", fix=f"{option} {words[0]}"
    )


def _calibration(found: Imported, given: Any) -> tuple[Data, tuple[Values, ...], dict[str, str]]:
    """Return the data, the calibration inputs of it, and what the manifest says of them.

    Raises:
        InputRangeError: a value lies outside the declared range.
    """
    data = data_from(given, tuple(entry.name for entry in found.network.inputs))
    steps = encode(data.spread(CALIBRATION_SAMPLES), found.encoding)
    for entry in steps.whole:
        check_range(entry.values, entry.name, found.encoding.low, found.encoding.high)
    content = b"".join(np.ascontiguousarray(a.values).tobytes() for a in data.arrays)
    name = Path(given).name if isinstance(given, str | Path) else "(in memory)"
    return data, steps.real, {"name": name, "sha256": digest(content)}
