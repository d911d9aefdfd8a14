"""What `inspect` shows: layers and neurons, and who said how they compute."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.deploy import results
from snn_deploy.deploy.data import data_from, encode
from snn_deploy.deploy.decisions import decisions_text
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.importing import imported, model_content
from snn_deploy.deploy.mapped import choices, in_words
from snn_deploy.deploy.net_files import check_net, is_net, net_program
from snn_deploy.deploy.ranges import ranges_of
from snn_deploy.deploy.request import Request
from snn_deploy.deploy.table import aligned
from snn_deploy.deploy.unheard import unheard
from snn_deploy.errors import DataError, OptionError
from snn_deploy.frontends import Imported
from snn_deploy.frontends.arch import draft
from snn_deploy.frontends.capture import compare_with_module
from snn_deploy.frontends.files import FileKind, kind_of, read_bytes
from snn_deploy.frontends.lava_dl import NetProgram
from snn_deploy.frontends.torch_file import StateDict, read_torch_file
from snn_deploy.ir.codecs import Encode
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.text import print_network, print_program
from snn_deploy.ir.trace import PAYLOADS, Values
from snn_deploy.ir.words import counted
from snn_deploy.targets import find_target

RUN_SAMPLES = 16
"""Samples of the data that a model is run on."""


def of_artifact(
    path: Path, deployment: Deployment, given: Any = None, *, front: bool = False
) -> results.Inspection:
    """Return what an artifact folder holds.

    Args:
        path: The folder.
        deployment: What was read from it.
        given: Data whose activity the front goes by.
        front: List the numbers of cores that it can be mapped to.

    Raises:
        OptionError: data without the front.
        CoresError: the front of a network that does not fit.
        UnsupportedError: the front of a chip without cores.
    """
    if given is not None and not front:
        raise OptionError(
            "an artifact is run by other commands; here data only serves the front of cores",
            where="--simulate",
            fix="snn-deploy simulate ARTIFACT --input FILE, or --front",
        )
    text = print_program(deployment.program).rstrip()
    if deployment.core_map is not None:
        text += f"\n\n{in_words(deployment.core_map)}"
    found = None
    if front:
        names = tuple(entry.name for entry in deployment.program.inputs)
        found = choices(deployment, None if given is None else data_from(given, names))
    return results.Inspection(
        title=f"{path}: {deployment.program.name} for {deployment.program.target}",
        text=text,
        findings=deployment.findings,
        choices=found,
        ranges=ranges_of(deployment.program, deployment.target, deployment.encoding.steps),
    )


def of_model(path: Path, request: Request, given: Any = None) -> results.Inspection:
    """Return what a model file holds; of weights alone, a draft of their architecture.

    Args:
        path: The file.
        request: What the user says about it.
        given: Data to run it on, as real-valued network and, with `--module`, in its framework.

    Raises:
        ModelError: the model cannot be read.
        OptionError: data for a file that holds whole numbers.
    """
    if is_net(path):
        if given is not None:
            raise OptionError(
                "a .net file holds whole numbers, not a network of real ones",
                where="--simulate",
                fix="snn-deploy export, then snn-deploy simulate",
            )
        check_net(request)
        read = net_program(path.name, read_bytes(path), request, find_target(request.target))
        return results.Inspection(
            title=f"{path}: {read.program.name}, whole numbers",
            text=f"{print_program(read.program)}\n\n{_net_layers(read)}",
            findings=read.findings,
        )
    content = model_content(path)
    if content is not None and request.arch is None and request.module is None:
        drafted = _draft(path, content)
        if drafted is not None:
            _check_draft(request, given)
            return drafted
    found = imported(path, request, content=content)
    text = f"{print_network(found.network)}\n\n{decisions_text(found)}"
    if given is not None:
        text += f"\n\n{_run(found, request, given)}"
    return results.Inspection(
        title=f"{path}: {found.network.name}", text=text, findings=found.findings
    )


def _run(found: Imported, request: Request, given: Any) -> str:
    """Return a table of how active the neurons are on data, and whether the framework agrees."""
    network = found.network
    data = data_from(given, tuple(entry.name for entry in network.inputs)).spread(RUN_SAMPLES)
    recorded = found.encoding.how is Encode.RECORDED
    shown = data.arrays if recorded else encode(data, found.encoding).real
    for entry, values in zip(network.inputs, shown, strict=True):
        if values.values.shape[2:] != entry.shape:
            raise DataError(
                f"samples of shape {values.values.shape[1:]}, but this input takes "
                f"[step, {', '.join(map(str, entry.shape))}]",
                where=f"--simulate: {entry.name}",
            )
    trace = simulate(network, shown, PAYLOADS)
    why = _why_not_run(found, request)
    compared = {} if why else _compared(found, shown)
    rows = [("neurons", "count", "spikes/sample", "active", "framework")]
    for population in network.populations:
        sent = trace[population.name].payload
        if not population.fires.spiking or sent is None:
            continue
        rows.append(
            (
                population.name,
                f"{population.size}",
                f"{sent.sum() / data.samples:.1f}",
                f"{np.mean(sent != 0):.1%}",
                compared.get(population.name, "not run"),
            )
        )
    title = f"run on {counted(data.samples, 'sample')} of {counted(trace.steps, 'step')}"
    lines = [f"  {line}" for line in aligned(rows, right=(1, 2, 3)).splitlines()]
    if why:
        lines.append(f"  {why}")
    return "\n".join((title, *lines))


def _why_not_run(found: Imported, request: Request) -> str:
    """Return why the framework is not run on the data; empty: it is."""
    if not request.module:
        return (
            "the framework is not run, for no file runs code: of a state dict, --module "
            "package.module:function runs yours"
        )
    if len(found.network.inputs) > 1:
        return "the framework is not run: it is compared on one input, and this network has more"
    if found.encoding.how is not Encode.RECORDED:
        return (
            "the framework is not run: it is compared on recorded steps, and this network's input "
            f"is encoded as {found.encoding.how.value}"
        )
    return ""


def _compared(found: Imported, shown: Sequence[Values]) -> dict[str, str]:
    """Return what the framework itself says of each population, on the first sample."""
    comparison = compare_with_module(found.module, found.network, shown[0].values[0])
    said = {}
    for one in comparison.populations:
        said[one.name] = "same spikes"
        if one.first is not None:
            near = "near the threshold" if one.agrees else "DIFFERENT"
            said[one.name] = f"{counted(one.differences, 'neuron')} differ, {near}: {one.first}"
    return said


def _net_layers(read: NetProgram) -> str:
    """Return a table of what became of the layers of a lava-dl file."""
    rows = [("layer", "type", "neurons", "shape", "population", "steps behind", "note")]
    for layer in read.layers:
        shape = "x".join(map(str, layer.shape))
        row = (f"{layer.index}", layer.kind, layer.neurons, shape, layer.population)
        rows.append((*row, f"{layer.behind}", "; ".join(layer.notes)))
    table = aligned(rows, right=(0, 5))
    return "layers of the file\n" + "\n".join(f"  {line}" for line in table.splitlines())


def _check_draft(request: Request, given: Any) -> None:
    """Refuse what says nothing about a draft of an architecture.

    Raises:
        OptionError: the first such option.
    """
    wrong = sorted(request.chosen.keys() - {"target"}) + ["simulate"] * (given is not None)
    if wrong:
        says = "says nothing about weights alone: their layers are not known"
        then = " to draft their architecture, then give that as --arch"
        raise unheard(wrong[0], says, then=then)


def _draft(path: Path, content: bytes) -> results.Inspection | None:
    """Return a draft of the architecture, if the file holds weights alone."""
    if kind_of(content, path.name) is not FileKind.TORCH:
        return None
    file = read_torch_file(content, path.name)
    if not isinstance(file, StateDict):
        return None
    return results.Inspection(
        title=f"# {path}: weights without an architecture; this is a draft of one (--arch)",
        text=draft(file.tensors),
        findings=(),
    )
