"""A torch module that is there, not a record of one: read if its layers stand in a row, run if how
they are joined is code."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from snn_deploy.errors import OptionError
from snn_deploy.frontends.capture import capture, checked_sample, sample_of
from snn_deploy.frontends.capture_axes import Layout
from snn_deploy.frontends.capture_leaves import is_leaf
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.modules import is_readable, read_module
from snn_deploy.frontends.registry import children_of, class_name, is_container
from snn_deploy.frontends.replay import replay
from snn_deploy.ir.codecs import Encode, EncodingChanges
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A module, read."""

    module: Any
    graph: LayerGraph
    samples: tuple[np.ndarray, ...]
    """On which our network is compared with the module, each [step, *shape]."""

    layout: Layout | None
    """How the module takes a sample; None: not known, for it was not run."""

    encoding: EncodingChanges | None
    """How the module itself shows a value to its layers; None: it does not say."""

    def check(self, network: Network) -> tuple[Finding, ...]:
        """Compare our network with the module; return what its user should know.

        Raises:
            GraphError: a neuron, or an output, differs by more than rounding.
            ModelError: the module raises, or what it does cannot be followed.
        """
        return tuple(
            finding
            for sample in self.samples
            for finding in replay(self.module, network, sample, layout=self.layout)
        )


def read_live(
    module: Any,
    *,
    sample: np.ndarray | None = None,
    sample_shape: Shape | None = None,
    layout: Layout | None = None,
) -> Live:
    """Return the layers of a torch module.

    Args:
        module: The module; it stays as it was.
        sample: What enters it, [step, *shape], or with `sample_shape` also
            [sample, step, *shape]. None: one is made, if the module must be run.
        sample_shape: Shape of one sample's values in one step.
        layout: How the module takes a sample; None: by its frameworks' conventions.

    Raises:
        OptionError: a sample, or its shape, is needed or wrong.
        ModelError: the module cannot be read.
    """
    samples = _samples(sample, sample_shape)
    if not must_run(module):
        shape = sample_shape
        if samples and shape is None:
            shape = tuple(int(side) for side in samples[0].shape[1:])
        graph = read_module(module, shape)
        return Live(module=module, graph=graph, samples=samples, layout=layout, encoding=None)
    if not samples:
        if sample_shape is None:
            raise OptionError(
                f"a module of class {class_name(module)} is run to see what it does, and needs a "
                "sample",
                where="sample",
                fix="sample=numbers [step, ...], or sample_shape=(...) without batch and time",
            )
        samples = (sample_of(sample_shape),)
    found = capture(module, samples[0], layout=layout)
    encoding = None
    if found.layout is Layout.CONSTANT:
        encoding = EncodingChanges(how=Encode.CURRENT, steps=found.steps)
    return Live(
        module=module,
        graph=found.graph,
        samples=samples,
        layout=found.layout,
        encoding=encoding,
    )


def must_run(module: Any) -> bool:
    """Return whether how a module's layers are joined is code: it has a class of the user's."""
    if is_container(module):
        return any(must_run(child) for _, child in children_of(module))
    return not is_readable(module) and not is_leaf(module)


def _samples(sample: np.ndarray | None, shape: Shape | None) -> tuple[np.ndarray, ...]:
    if sample is None:
        return ()
    values = np.asarray(sample)
    several = shape is not None and values.ndim == len(shape) + 2
    found = tuple(checked_sample(one) for one in (values if several else (values,)))
    if not found:
        raise OptionError("there is no sample in it", where="sample")
    if shape is not None and found[0].shape[1:] != tuple(shape):
        raise OptionError(
            f"a sample of shape {found[0].shape} has values of shape {found[0].shape[1:]} in a "
            f"step, but sample_shape says {tuple(shape)}",
            where="sample",
            fix="give [step, *sample_shape], or [sample, step, *sample_shape]",
        )
    return found
