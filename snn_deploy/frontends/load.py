"""The way in: a file, a NIR graph or a module becomes a `Network`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nir
import numpy as np

from snn_deploy.errors import OptionError, UnknownNodeError
from snn_deploy.frontends.ann import is_ann
from snn_deploy.frontends.arch import Architecture, build, read_architecture
from snn_deploy.frontends.capture import Layout, read_live
from snn_deploy.frontends.convert import Conversion, convert
from snn_deploy.frontends.dynamics import Overrides
from snn_deploy.frontends.files import FileKind, kind_of, read_bytes
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.modules import (
    check_intact,
    first_foreign,
    is_module,
    module_from,
    read_module,
)
from snn_deploy.frontends.nir import (
    Dialect,
    Imported,
    checked_graph,
    dialect_named,
    import_graph,
    read_graph,
)
from snn_deploy.frontends.onnx import read_onnx
from snn_deploy.frontends.pt2 import read_pt2
from snn_deploy.frontends.registry import class_name
from snn_deploy.frontends.to_nir import to_nir
from snn_deploy.frontends.torch_file import StateDict, TorchFile, read_torch_file
from snn_deploy.ir.codecs import Encoding, EncodingChanges
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.words import counted

Samples = (
    np.ndarray
    | Mapping[str, np.ndarray]
    | Callable[[tuple[str, ...]], np.ndarray | Mapping[str, np.ndarray]]
)


def load(
    model: Any,
    *,
    dialect: Dialect | str | None = None,
    overrides: Overrides | None = None,
    sample_shape: tuple[int, ...] | None = None,
    arch: Path | str | None = None,
    factory: str | None = None,
    calibration: Samples | None = None,
    conversion: Conversion | None = None,
    sample: np.ndarray | None = None,
    layout: Layout | None = None,
    content: bytes | None = None,
) -> Imported:
    """Return the network of a model.

    An argument that says nothing about a model of this kind is refused.

    Args:
        model: Path of a model file (NIR, torch, safetensors, .pt2, ONNX), the bytes of a NIR
            file, a `nir.NIRGraph`, a torch module of layers that a frontend reads, or a
            `LayerGraph`, whose neurons are stated in our own words.
        dialect: Who wrote a NIR file, such as `snntorch`; only where its metadata does not say.
            None: guess, and say so in a finding.
        overrides: Single things that the user states, whatever file and dialect say.
        sample_shape: Of a module: the shape of one sample's values in one step.
        arch: An architecture file: the layers that the weights of a state dict belong to.
        factory: `package.module:function` that makes the module of a state dict. This runs the
            user's code.
        calibration: Of layers that are an ANN, which becomes a spiking network: inputs like those
            to come, [sample, *shape]; by name where there are several, or a function that gives
            them for the names of the inputs.
        conversion: How an ANN becomes one.
        sample: Of a module: what enters it, [step, *shape], or with `sample_shape` also
            [sample, step, *shape]. The module is run on it, and our network compared with it. A
            module of a class of your own is always run; without a sample one is made.
        layout: Of a module: how it takes a sample; None: by its frameworks' conventions.
        content: Of a path: what its file holds, where that was read before.

    Raises:
        UnknownNameError: no such dialect.
        OptionError: a model of no known kind, an argument that is not for this kind, or an
            override that contradicts it.
        ModelError: the model cannot be read.
    """
    chosen = None if dialect is None else dialect_named(dialect)
    given = _Given(
        overrides=overrides or Overrides(),
        dialect=chosen,
        sample_shape=sample_shape,
        arch=None if arch is None else Path(arch),
        factory=factory,
        calibration=calibration,
        conversion=conversion,
        sample=sample,
        layout=layout,
    )
    if is_module(model):
        given.check(_MODULE)
        return _of_module(model, given, name="network", where="module")
    if isinstance(model, LayerGraph):
        given.check(_LAYERS)
        return _of_layers(model, given, name="network", where="layers")
    if isinstance(model, nir.NIRGraph):
        return _of_nir(checked_graph(model, ""), given, name="network", where="graph")
    if isinstance(model, bytes):
        graph = read_graph(model, "model.nir")
        return _of_nir(graph, given, name="network", where="model.nir")
    if isinstance(model, str | Path):
        path = Path(model)
        return _of_file(path, read_bytes(path) if content is None else content, given)
    raise OptionError(
        f"no model can be read from an object of type {type(model).__name__}",
        fix="give a path, a nir.NIRGraph, a LayerGraph, or a torch module of known layers",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What the caller says beside the model."""

    overrides: Overrides
    dialect: Dialect | None
    sample_shape: Shape | None
    arch: Path | None
    factory: str | None
    calibration: Samples | None
    conversion: Conversion | None
    sample: np.ndarray | None
    layout: Layout | None

    def check(self, kind: "_Kind") -> None:
        """Refuse what says nothing about a model of this kind.

        Raises:
            OptionError: the first argument that is given and not for it.
        """
        if self.arch is not None and self.factory is not None:
            raise OptionError(
                "an architecture and a module both say what the layers are",
                where="--arch, --module",
                fix="give one of them",
            )
        for name, (option, use) in _USES.items():
            if name in kind.takes or getattr(self, name) is None:
                continue
            raise OptionError(
                f"{option} says nothing about {kind.what}: it is for {use}",
                where=option,
                fix=f"leave {option} out",
            )


_USES = {
    "dialect": ("dialect", "NIR files, which do not say who wrote them"),
    "arch": ("--arch", "files that hold weights but not how they are joined"),
    "factory": ("--module", "files that hold weights alone"),
    "sample_shape": ("sample_shape", "modules, whose layers take inputs of any size"),
    "sample": ("sample", "modules that can be run"),
    "layout": ("layout", "modules that can be run"),
    "calibration": ("calibration", "ANNs, which become spiking networks"),
    "conversion": ("conversion", "ANNs, which become spiking networks"),
}
"""Arguments that not every model takes: how the user writes each, and what it is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A kind of model."""

    what: str
    takes: frozenset[str]
    """Arguments that mean something for it."""


_CONVERTED = frozenset({"calibration", "conversion"})
_RUN = _CONVERTED | {"sample_shape", "sample", "layout"}

_LAYERS = _Kind(what="a LayerGraph", takes=_CONVERTED)
_NIR = _Kind(what="a NIR graph", takes=frozenset({"dialect"}))
_MODULE = _Kind(what="a module", takes=_RUN)
_ONNX = _Kind(what="a file of ONNX", takes=_CONVERTED)
_EXPORTED = _Kind(what="a file of torch.export", takes=_CONVERTED)
_PICKLED = _Kind(what="a pickled module", takes=_CONVERTED | {"sample_shape"})
_JOINED = _Kind(what="weights with an architecture file", takes=_CONVERTED | {"arch"})
_MADE = _Kind(what="weights with a module of your own", takes=_RUN | {"factory"})


def _of_module(module: Any, given: _Given, *, name: str, where: str) -> Imported:
    live = read_live(
        module, sample=given.sample, sample_shape=given.sample_shape, layout=given.layout
    )
    imported = _of_layers(live.graph, given, name=name, where=where, encoding=live.encoding)
    if is_ann(live.graph):
        return imported  # it does not send what the module sends: it was converted
    network = imported.network
    stated = given.overrides
    if (stated.reset, stated.compare, stated.floor) != (None, None, None):
        # What the user wants otherwise than the module is no fault of the reading.
        plain = replace(given, overrides=Overrides())
        network = _of_layers(live.graph, plain, name=name, where=where).network
    findings = (*imported.findings, *live.check(network))
    return replace(imported, findings=findings, module=module)


def _of_nir(graph: nir.NIRGraph, given: _Given, *, name: str, where: str) -> Imported:
    given.check(_NIR)
    return import_graph(
        graph, name=name, where=where, dialect=given.dialect, overrides=given.overrides
    )


def _of_file(path: Path, content: bytes, given: _Given) -> Imported:
    kind = kind_of(content, path.name)
    if kind is FileKind.NIR:
        graph = read_graph(content, path.name)
        return _of_nir(graph, given, name=path.stem, where=path.name)
    if kind is FileKind.NET:
        raise OptionError(
            "a .net file holds integers, and needs no network of real numbers",
            where=path.name,
            fix="snn-deploy export reads it",
        )
    if kind in (FileKind.ONNX, FileKind.EXPORTED):
        given.check(_ONNX if kind is FileKind.ONNX else _EXPORTED)
        read = read_onnx if kind is FileKind.ONNX else read_pt2
        return _of_layers(read(content, path.name), given, name=path.stem, where=path.name)
    if given.arch is not None:
        given.check(_JOINED)
    elif given.factory is not None:
        given.check(_MADE)
    architecture = None if given.arch is None else read_architecture(given.arch)
    file = read_torch_file(content, path.name)
    if isinstance(file, StateDict) and given.factory is not None:
        module = module_from(given.factory, file.tensors)
        return _of_module(module, given, name=path.stem, where=path.name)
    layers = _of_torch(file, architecture, given, path)
    encoding = None if architecture is None else architecture.encoding
    return _of_layers(layers, given, name=path.stem, where=path.name, encoding=encoding)


def _of_torch(
    file: TorchFile, architecture: Architecture | None, given: _Given, path: Path
) -> LayerGraph:
    """Return the layers of a file of torch, with what the user says about them."""
    if isinstance(file, StateDict):
        if architecture is not None:
            return build(architecture, file.tensors)
        raise UnknownNodeError(
            f"the file holds {counted(len(file.tensors), 'tensor')}, but neither the layers nor "
            "the neurons that they belong to (a norse module saves as nothing else)",
            where=path.name,
            fix="--arch FILE.toml, which names them; snn-deploy inspect drafts one. Or --module "
            "package.module:function, which makes the network in your own code",
        )
    check_intact(file.root)
    if architecture is not None:
        return build(architecture, file.root)
    given.check(_PICKLED)
    foreign = first_foreign(file.root)
    if foreign is not None:
        part, layer = foreign
        raise UnknownNodeError(
            f"{class_name(layer)} is none of the layers that are read; if it joins other layers, "
            "how it does is code, which is not in the file",
            where=f"{path.name}: {part or 'the module'}",
            fix="--arch FILE.toml, which joins its parts by their names. Or save its "
            "state_dict(), and --module package.module:function, which runs your own code",
        )
    return read_module(file.root, given.sample_shape)


def _of_layers(
    layers: LayerGraph,
    given: _Given,
    *,
    name: str,
    where: str,
    encoding: EncodingChanges | None = None,
) -> Imported:
    findings = tuple(layers.findings)
    presented = Encoding()
    if is_ann(layers) and given.calibration is not None:
        converted = convert(layers, _samples(layers, given.calibration), given.conversion)
        layers, presented = converted.graph, converted.encoding
        findings += converted.findings
    form = to_nir(layers)
    annotation = replace(
        form.annotation, encoding=(encoding or EncodingChanges()).applied(presented)
    )
    imported = import_graph(
        checked_graph(form.graph, ""),
        name=name,
        where=where,
        overrides=given.overrides,
        annotation=annotation,
    )
    return replace(imported, findings=(*findings, *imported.findings))


def _samples(layers: LayerGraph, given: Samples) -> np.ndarray | Mapping[str, np.ndarray]:
    return given(tuple(layers.inputs)) if callable(given) else given
