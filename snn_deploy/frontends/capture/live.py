"""A torch module that is there, not a record of one: read if its layers stand in a row, run if how
they are joined is code."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snn_deploy.errors import GraphError, ModelError, OptionError, UnknownNodeError
from snn_deploy.frontends.ann import evaluate, is_ann
from snn_deploy.frontends.capture.axes import Layout
from snn_deploy.frontends.capture.comparison import CLOSE, replay
from snn_deploy.frontends.capture.leaves import is_leaf
from snn_deploy.frontends.capture.module import capture, checked_sample, sample_of
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.modules import check_intact, is_readable, read_module
from snn_deploy.frontends.registry import children_of, class_name, is_container
from snn_deploy.ir.codecs import Encode, EncodingChanges
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.network import Network

STRENGTHS = (1.0, 4.0, 16.0, 64.0)
"""Factors on a sample that we make, tried until no layer of neurons stays silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A module, read."""

    module: Any
    graph: LayerGraph
    samples: tuple[np.ndarray, ...]
    """On which our network is compared with the module, each [step, *shape]."""

    made: bool
    """Whether the sample is one that we made: then it is made stronger until all neurons fire."""

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
        if not self.made:
            return _of_all(
                [
                    replay(self.module, network, sample, layout=self.layout)
                    for sample in self.samples
                ]
            )
        findings: tuple[Finding, ...] = ()
        for strength in STRENGTHS:
            sample = strength * self.samples[0]
            findings = replay(self.module, network, sample, layout=self.layout)
            if not any(finding.kind is Kind.UNPROVEN for finding in findings):
                break
        return findings


def _of_all(found: Sequence[Sequence[Finding]]) -> tuple[Finding, ...]:
    """Return the findings of all samples, each once.

    A layer that sent nothing was not compared with the module; if it sent something for another
    sample, it was.
    """
    every = tuple(dict.fromkeys(finding for findings in found for finding in findings))
    silent = [{f.layer for f in findings if f.kind is Kind.UNPROVEN} for findings in found]
    never = set.intersection(*silent) if silent else set()
    return tuple(f for f in every if f.kind is not Kind.UNPROVEN or f.layer in never)


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
    check_intact(module)
    _check_precision(module)
    samples = _samples(sample, sample_shape)
    if not must_run(module):
        shape = sample_shape
        if samples and shape is None:
            shape = tuple(int(side) for side in samples[0].shape[1:])
        graph = read_module(module, shape)
        _compare_ann(module, graph, samples)
        return Live(
            module=module, graph=graph, samples=samples, made=False, layout=layout, encoding=None
        )
    made = not samples
    if made:
        if sample_shape is None:
            raise OptionError(
                f"a module of class {class_name(module)} is run to see what it does, and needs a "
                "sample",
                where="sample",
                fix="sample=numbers [step, ...], or sample_shape=(...) without batch and time",
            )
        samples = (sample_of(sample_shape),)
    found = capture(module, samples[0], layout=layout)
    _compare_ann(module, found.graph, samples)
    encoding = None
    if found.layout is Layout.CONSTANT:
        encoding = EncodingChanges(how=Encode.CURRENT, steps=found.steps)
    return Live(
        module=module,
        graph=found.graph,
        samples=samples,
        made=made,
        layout=found.layout,
        encoding=encoding,
    )


def _check_precision(module: Any) -> None:
    """Refuse arithmetic that rounds after every operation more coarsely than we can follow.

    Raises:
        UnknownNodeError: a parameter of 16 bits.
    """
    for name, parameter in module.named_parameters():
        kind = str(parameter.dtype).rpartition(".")[2]
        if kind in ("bfloat16", "float16"):
            raise UnknownNodeError(
                f"the module computes in {kind}, which rounds after every operation",
                where=name,
                fix="module.float(): the same weights, in the arithmetic that is compared",
            )


def _compare_ann(module: Any, graph: LayerGraph, samples: Sequence[np.ndarray]) -> None:
    """Compare an ANN that was read with its module; nothing is done for networks with neurons.

    Each step of a sample, or of one that is made, is a sample of the ANN.

    Raises:
        GraphError: they give different answers.
        ModelError: the module raises.
    """
    if not is_ann(graph) or len(graph.inputs) > 1:
        return
    import torch  # noqa: PLC0415 - only where a live module is read

    ((port, shape),) = graph.inputs.items()
    given = samples[0] if samples else sample_of(shape)
    first = next(module.parameters(), None)
    values = torch.tensor(given, dtype=torch.float32 if first is None else first.dtype)
    was_training = module.training
    try:
        with torch.no_grad():
            module.eval()
            theirs = [module(value[None]) for value in values]
    except Exception as error:
        raise ModelError(
            f"the module raises {type(error).__name__}: {error}",
            where="module",
            fix="give it samples of the shape that it was trained with: sample=, sample_shape=",
        ) from error
    finally:
        module.train(was_training)
    if not all(isinstance(one, torch.Tensor) for one in theirs):
        return
    found = torch.cat([one.reshape(1, -1) for one in theirs]).double().numpy()
    ours = next(iter(evaluate(graph, {port: given}).values())).reshape(len(given), -1)
    off = np.abs(found - ours).max() if found.shape == ours.shape else np.inf
    if off > CLOSE * max(1e-12, np.abs(found).max()):
        raise GraphError(
            "the network that was read does not give what the module gives: the outputs differ "
            f"by up to {off:.3g}",
            where="module",
            fix="it has a part that was not read: make it of the layers that are known, or write "
            "the network as ONNX",
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
