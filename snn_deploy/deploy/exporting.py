"""What `export` does: read, override, compile, pack, write."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec

from snn_deploy.backends.protocol import find_backend
from snn_deploy.deploy.artifact import check_output
from snn_deploy.deploy.data import encode, read_data
from snn_deploy.deploy.deployment import Deployment, digest
from snn_deploy.errors import FileMissingError, OptionError
from snn_deploy.frontends import Imported, Overrides, load, write_nir
from snn_deploy.frontends.dynamics import Choice, Origin, ResetRule
from snn_deploy.ir.codecs import Encode, Encoding
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.neuron import Compare, Decode
from snn_deploy.ir.trace import Values
from snn_deploy.quantize import Compiled, Options, compile_network
from snn_deploy.targets import Target, find_target

CALIBRATION_SAMPLES = 64
"""Samples of the calibration data that scales are chosen on."""


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
    weight_bits: int | None = None
    sample_shape: tuple[int, ...] | None = None
    name: str | None = None

    @property
    def chosen(self) -> Mapping[str, Any]:
        """The options that are not left at their default."""
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name == "target" or getattr(self, f.name) is not None
        }


def export(
    model: Any,
    request: Request,
    *,
    calibrate: Path | None,
    output: Path | None,
    force: bool,
    dry_run: bool,
) -> Deployment:
    """Return the deployment of `model`, written to `output`; see `api.export`."""
    target = find_target(request.target)
    in_memory = not isinstance(model, str | Path)
    if not in_memory and output is None:
        output = Path(f"{Path(model).stem}-{target.name}")
    if output is not None:
        check_output(output, force=force)
    found = imported(model, request)
    configuration = dict(request.chosen)
    calibration = None
    if calibrate is not None:
        calibration = _calibration(found, calibrate)
        configuration["calibrate"] = {
            "name": calibrate.name,
            "sha256": digest(calibrate.read_bytes()),
        }
    compiled = compile_network(
        found.network,
        target,
        encoding=found.encoding,
        calibration=calibration,
        options=Options(weight_bits=request.weight_bits),
    )
    source = found.nir_bytes if in_memory else Path(model).read_bytes()
    deployment = Deployment(
        program=compiled.program,
        encoding=found.encoding,
        nir=found.nir_bytes,
        pipeline=tuple(compiled.pipeline.splitlines()),
        findings=(*found.findings, *_findings(compiled, target)),
        layers=tuple(msgspec.json.decode(msgspec.json.encode(r)) for r in compiled.layers),
        model_digest=digest(source),
        model_bytes=len(source),
        configuration=configuration,
        folder=output,
    )
    if output is not None and not dry_run:
        deployment.save(output, force=force)
    return deployment


def _findings(compiled: Compiled, target: Target) -> Iterator[Finding]:
    """Yield what compiling found; what runs natively is said by the chip's own backend."""
    if not target.writer:
        yield from compiled.findings
        return
    yield from (f for f in compiled.findings if f.kind is not Kind.SIMULATED)
    yield from find_backend(target.writer).supports(compiled.program, target)


def imported(model: Any, request: Request) -> Imported:
    """Return the network that `model` holds, with the request's choices applied.

    Raises:
        FileMissingError: there is no such file.
        OptionError: an option has a value that does not exist.
        ModelError: the model cannot be read.
    """
    if isinstance(model, str | Path):
        model = Path(model)
        if not model.is_file():
            raise FileMissingError("there is no such model file", where=str(model))
    overrides = Overrides(
        dt=request.dt,
        reset=choose(ResetRule, request.reset, "--reset"),
        compare=choose(Compare, request.compare, "--compare"),
        floor=request.floor,
    )
    found = load(
        model,
        dialect=request.dialect,
        overrides=overrides,
        sample_shape=request.sample_shape,
    )
    if request.name is not None:
        found = replace(found, network=replace(found.network, name=request.name))
    return _with_codecs(found, request)


def _with_codecs(found: Imported, request: Request) -> Imported:
    encoding = _encoding(found.encoding, request)
    decode = choose(Decode, request.decode, "--decode")
    outputs = found.network.outputs
    if decode is not None:
        outputs = tuple(replace(output, decode=decode) for output in outputs)
    if encoding == found.encoding and outputs == found.network.outputs:
        return found
    annotation = replace(found.annotation, encoding=encoding)
    if decode is not None:
        chosen = Choice(value=decode, origin=Origin.OVERRIDE)
        annotation = replace(annotation, outputs={output.name: chosen for output in outputs})
    return replace(
        found,
        network=replace(found.network, outputs=outputs),
        annotation=annotation,
        encoding=encoding,
        nir_bytes=write_nir(found.graph, annotation),
    )


def _encoding(encoding: Encoding, request: Request) -> Encoding:
    changes: dict[str, Any] = {}
    how = choose(Encode, request.encode, "--encode")
    if how is not None:
        changes["how"] = how
    for name in ("steps", "seed"):
        if getattr(request, name) is not None:
            changes[name] = getattr(request, name)
    if request.input_unit is not None:
        if request.input_unit <= 0:
            raise OptionError("the input unit is not above 0", fix="--input-unit 0.00390625")
        changes["unit"] = request.input_unit
    if request.input_range is not None:
        changes["low"], changes["high"] = _range(request.input_range)
    return replace(encoding, **changes)


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


def _calibration(found: Imported, path: Path) -> tuple[Values, ...]:
    data = read_data(path, tuple(entry.name for entry in found.network.inputs))
    return encode(data.spread(CALIBRATION_SAMPLES), found.encoding).real
