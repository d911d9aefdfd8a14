"""What `export` does: read, override, compile, pack, write."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from snn_deploy.backends.protocol import check_range, find_backend
from snn_deploy.deploy.artifact import check_output
from snn_deploy.deploy.data import Data, data_from, encode
from snn_deploy.deploy.decisions import decisions_of
from snn_deploy.deploy.deployment import Deployment, digest
from snn_deploy.deploy.early_exit import check_early_exit, early_exit_of
from snn_deploy.deploy.importing import imported, model_content
from snn_deploy.deploy.mapped import Room, mapped
from snn_deploy.deploy.mapping import Goal
from snn_deploy.deploy.net_files import check_net, is_net, net_program
from snn_deploy.deploy.progress import waiting
from snn_deploy.deploy.quantizing import Wishes, search_bits
from snn_deploy.deploy.request import Request, choose
from snn_deploy.deploy.runs import check_sample_shapes
from snn_deploy.deploy.thresholds import parse_thresholds, with_thresholds
from snn_deploy.errors import OptionError
from snn_deploy.frontends import Imported
from snn_deploy.frontends.files import read_bytes
from snn_deploy.ir.codecs import Encode, Encoding
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import Values
from snn_deploy.quantize import check_program, compile_network
from snn_deploy.targets import Target, find_target

CALIBRATION_SAMPLES = 256
"""Samples of the calibration data that scales are chosen on."""

REPORTED_SAMPLES = 16
"""Samples of the calibration data that the report is measured on."""


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
        with waiting(f"writing {output}"):
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
    with waiting("placing neurons on cores"):
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
    with waiting(f"reading {_called(model)}"):
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
            with waiting("searching bits"):
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


def _called(model: Any) -> str:
    """Return what a model is called while it is read."""
    return Path(model).name if isinstance(model, str | Path) else "the model"


def _room(request: Request) -> Room:
    """Return how many cores and chips a request allows."""
    goal = choose(Goal, request.optimize, "--optimize")
    return Room.of(request.cores, goal, request.chips)


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


def _calibration(found: Imported, given: Any) -> tuple[Data, tuple[Values, ...], dict[str, str]]:
    """Return the data, the calibration inputs of it, and what the manifest says of them.

    Raises:
        DataError: samples that an encoder makes steps of have another shape than a step.
        InputRangeError: a value lies outside the declared range.
    """
    data = data_from(given, tuple(entry.name for entry in found.network.inputs))
    check_sample_shapes(data, found.encoding.how, found.network.inputs)
    steps = encode(data.spread(CALIBRATION_SAMPLES), found.encoding)
    for entry in steps.whole:
        check_range(entry.values, entry.name, found.encoding.low, found.encoding.high)
    content = b"".join(np.ascontiguousarray(a.values).tobytes() for a in data.arrays)
    name = Path(given).name if isinstance(given, str | Path) else "(in memory)"
    return data, steps.real, {"name": name, "sha256": digest(content)}
