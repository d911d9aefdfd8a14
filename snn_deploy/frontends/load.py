"""The way in: a file, a NIR graph or a module becomes a `Network`."""

from pathlib import Path
from typing import Any

import nir

from snn_deploy.errors import FileDamagedError, FileMissingError, OptionError
from snn_deploy.frontends.decide import dialect_named
from snn_deploy.frontends.dialects import Dialect
from snn_deploy.frontends.dynamics import Overrides
from snn_deploy.frontends.hdf5_reader import LARGEST_FILE
from snn_deploy.frontends.imported import Imported
from snn_deploy.frontends.modules import is_module, read_module
from snn_deploy.frontends.nir import import_graph
from snn_deploy.frontends.nir_file import read_graph
from snn_deploy.frontends.nir_flat import checked_graph
from snn_deploy.frontends.to_nir import to_nir


def load(
    model: Any,
    *,
    dialect: Dialect | str | None = None,
    overrides: Overrides | None = None,
    sample_shape: tuple[int, ...] | None = None,
) -> Imported:
    """Return the network of a model.

    Args:
        model: Path of a `.nir` file, its bytes, a `nir.NIRGraph`, or a torch module of norse's
            layers.
        dialect: Who wrote it, such as `snntorch`; only where its metadata does not say.
            None: guess, and say so in a finding.
        overrides: Single things that the user states, whatever file and dialect say.
        sample_shape: Of a module: the shape of one sample's values in one step.

    Raises:
        UnknownNameError: no such dialect.
        OptionError: a model of no known kind, an argument that is not for this kind, or an
            override that contradicts it.
        ModelError: the model cannot be read.
    """
    chosen = None if dialect is None else dialect_named(dialect)
    options = overrides or Overrides()
    if is_module(model):
        return _of_module(model, chosen, options, sample_shape)
    if sample_shape is not None:
        raise OptionError(
            "a sample's shape is only for a module: a NIR graph says it in its Input node",
            where="sample_shape",
            fix="leave sample_shape out",
        )
    if isinstance(model, nir.NIRGraph):
        graph = checked_graph(model, "")
        return import_graph(graph, name="network", where="graph", dialect=chosen, overrides=options)
    if isinstance(model, bytes):
        graph = read_graph(model, "model.nir")
        return import_graph(
            graph, name="network", where="model.nir", dialect=chosen, overrides=options
        )
    if isinstance(model, str | Path):
        path = Path(model)
        graph = read_graph(_bytes(path), path.name)
        return import_graph(
            graph, name=path.stem, where=path.name, dialect=chosen, overrides=options
        )
    raise OptionError(
        f"no model can be read from an object of type {type(model).__name__}",
        fix="give a path, a nir.NIRGraph, or a Sequential of norse layers",
    )


def _of_module(
    module: Any,
    dialect: Dialect | None,
    overrides: Overrides,
    sample_shape: tuple[int, ...] | None,
) -> Imported:
    if dialect is not None:
        raise OptionError(
            f"the dialect {dialect.value} is only for NIR: a module's layers say what they compute",
            where="dialect",
            fix="leave dialect out",
        )
    form = to_nir(read_module(module, sample_shape))
    return import_graph(
        checked_graph(form.graph, ""),
        name="network",
        where="module",
        overrides=overrides,
        annotation=form.annotation,
    )


def _bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            what = "it is a folder" if path.is_dir() else "there is no such file"
            raise FileMissingError(f"cannot read the model: {what}", where=str(path))
        if path.stat().st_size > LARGEST_FILE:
            raise FileDamagedError(
                f"the file has {path.stat().st_size} bytes; at most {LARGEST_FILE} are read",
                where=path.name,
            )
        return path.read_bytes()
    except OSError as error:
        raise FileMissingError(
            f"cannot read the model: {error.strerror}", where=str(path)
        ) from error
