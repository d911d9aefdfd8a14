"""The model that an artifact was made from, run by its own framework."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from snn_deploy.deploy.against import Reference
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.importing import imported
from snn_deploy.deploy.request import Request
from snn_deploy.errors import OptionError
from snn_deploy.frontends.capture import module_trace
from snn_deploy.ir.network import Between
from snn_deploy.ir.trace import PopulationTrace, Trace, Values, by_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What the user says of the model that an artifact was made from."""

    model: Any = None
    """A path, or a torch module."""

    arch: Any = None
    module: str | None = None

    @property
    def given(self) -> str:
        """The first option that is given; empty: none."""
        stated = {"model": self.model, "arch": self.arch, "module": self.module}
        return next((f"--{name}" for name, value in stated.items() if value is not None), "")


def of_model(deployment: Deployment, origin: Origin) -> Reference:
    """Return the model, run by its framework, as what integers are compared with.

    Raises:
        OptionError: there is no module to run, it is not the one of the artifact, or the
            artifact's network is not of one input or runs from sample to sample.
        ModelError: the model cannot be read.
    """
    network = deployment.network
    if len(network.inputs) > 1 or network.boundary.between is not Between.FRESH:
        raise OptionError(
            "a module is run on one input, each sample from its start",
            where=deployment.program.name,
            fix="--against network",
        )
    module = _module(deployment, origin)
    name = network.inputs[0].name

    def run(inputs: Sequence[Values]) -> Trace:
        traces = [module_trace(module, network, sample) for sample in by_name(inputs, name)]
        return joined(traces)

    return run


def _module(deployment: Deployment, origin: Origin) -> Any:
    """Return the torch module that the artifact was made from."""
    options = {f.name for f in fields(Request)} - {"arch", "module"}
    stated = {k: v for k, v in deployment.configuration.items() if k in options}
    shape = stated.get("sample_shape")
    request = Request(
        **{**stated, "sample_shape": None if shape is None else tuple(shape)},
        arch=None if origin.arch is None else str(origin.arch),
        module=origin.module,
    )
    found = imported(origin.model, request)
    if found.module is None:
        raise OptionError(
            "there is no module to run: no file runs code",
            where="--model",
            fix="--module package.module:function with the file of its weights, a torch module "
            "in Python, or --against network",
        )
    if found.nir_bytes != deployment.nir:
        raise OptionError(
            "the model is not the one that the artifact was made from, or was read otherwise",
            where="--model",
            fix="give the model, --arch and --module of the export, or export again",
        )
    return found.module


def joined(traces: Sequence[Trace]) -> Trace:
    """Return traces of some samples each as the trace of all."""
    first = traces[0]
    return Trace(
        steps=first.steps,
        populations=tuple(
            _stacked([trace[population.name] for trace in traces])
            for population in first.populations
        ),
    )


def _stacked(records: Sequence[PopulationTrace]) -> PopulationTrace:
    return PopulationTrace(
        name=records[0].name,
        events=np.concatenate([record.events for record in records]),
        spikes=np.concatenate([record.spikes for record in records]),
        states={
            state: np.concatenate([record.states[state] for record in records])
            for state in records[0].states
        },
    )
