"""What `inspect` shows: layers and neurons, and who said how they compute."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snn_deploy.deploy import results
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.exporting import Request, imported, is_net, net_program
from snn_deploy.deploy.table import aligned
from snn_deploy.frontends import Imported
from snn_deploy.frontends.arch import draft
from snn_deploy.frontends.dynamics import Choice, Dynamics
from snn_deploy.frontends.files import FileKind, kind_of, read_bytes
from snn_deploy.frontends.lava_dl import NetProgram
from snn_deploy.frontends.torch_file import StateDict, read_torch_file
from snn_deploy.ir.network import Population
from snn_deploy.ir.text import print_network, print_program
from snn_deploy.targets import find_target


def of_artifact(path: Path, deployment: Deployment) -> results.Inspection:
    """Return what an artifact folder holds."""
    return results.Inspection(
        title=f"{path}: {deployment.program.name} for {deployment.program.target}",
        text=deployment.files["program.txt"].decode(),
        findings=deployment.findings,
    )


def of_model(path: Path, request: Request) -> results.Inspection:
    """Return what a model file holds; of weights alone, a draft of their architecture.

    Raises:
        ModelError: the model cannot be read.
    """
    if is_net(path):
        read = net_program(path.name, read_bytes(path), request, find_target(request.target))
        return results.Inspection(
            title=f"{path}: {read.program.name}, whole numbers",
            text=f"{print_program(read.program)}\n\n{_net_layers(read)}",
            findings=read.findings,
        )
    if request.arch is None and request.module is None and path.is_file():
        drafted = _draft(path)
        if drafted is not None:
            return drafted
    found = imported(path, request)
    return results.Inspection(
        title=f"{path}: {found.network.name}",
        text=f"{print_network(found.network)}\n\n{decisions(found)}",
        findings=found.findings,
    )


def _net_layers(read: NetProgram) -> str:
    """Return a table of what became of the layers of a lava-dl file."""
    rows = [("layer", "type", "neurons", "shape", "population", "steps behind", "note")]
    for layer in read.layers:
        shape = "x".join(map(str, layer.shape))
        row = (f"{layer.index}", layer.kind, layer.neurons, shape, layer.population)
        rows.append((*row, f"{layer.behind}", "; ".join(layer.notes)))
    table = aligned(rows, right=(0, 5))
    return "layers of the file\n" + "\n".join(f"  {line}" for line in table.splitlines())


def _draft(path: Path) -> results.Inspection | None:
    """Return a draft of the architecture, if the file holds weights alone."""
    content = read_bytes(path)
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


def decisions(found: Imported) -> str:
    """Return a table of what the neurons compute, and who said so."""
    rows = [("neurons", "rule", "value", "said by")]
    annotation = found.annotation
    rows += [
        (
            "(all)",
            "step",
            f"{annotation.dt.value:g} {annotation.unit.value.value}",
            _who(annotation.dt),
        ),
        ("(all)", "numbers", annotation.arithmetic.value.value, _who(annotation.arithmetic)),
    ]
    for name, population in annotation.cells.items():
        rows.append((name, "every number", _kind(population), "module"))
    for name, dynamics in annotation.neurons.items():
        rows += [(name, *row) for row in _dynamics(dynamics)]
    for name, decode in annotation.outputs.items():
        rows.append((name, "answer", decode.value.value, _who(decode)))
    return "who decided\n" + "\n".join(f"  {line}" for line in aligned(rows).splitlines())


def _who(choice: Choice[Any]) -> str:
    return choice.origin.value


def _kind(population: Population) -> str:
    """Return what neurons are, in two words: with or without a current, and what they send."""
    synapse = "membrane only" if population.synapse is None else "current and membrane"
    return f"{synapse}, {population.fires.value}"


def _dynamics(dynamics: Dynamics) -> Iterator[tuple[str, str, str]]:
    yield "integration", dynamics.integration.value.value, _who(dynamics.integration)
    yield "gain", dynamics.membrane_gain.value.value, _who(dynamics.membrane_gain)
    firing = dynamics.firing
    if firing is None:
        return
    yield "reset", firing.reset.value.value, _who(firing.reset)
    yield "compare", firing.compare.value.value, _who(firing.compare)
    yield (
        "fires",
        f"{firing.fires.value.value}, up to {firing.max_spikes.value}",
        _who(firing.fires),
    )
    floor = firing.floor.value
    yield "floor", "none" if floor is None else f"{floor:g}", _who(firing.floor)
