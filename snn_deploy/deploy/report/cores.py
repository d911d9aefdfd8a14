"""The map of cores in short."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from snn_deploy.deploy.mapping import CoreMap
from snn_deploy.deploy.report.model import Cell, Cores, LayerCores
from snn_deploy.targets.cores import Mesh

CELLS = 2048
"""Most cores that are listed."""

NAMED = 4
"""Most populations of a core that are named."""


def cores_of(core_map: CoreMap, mesh: Mesh, populations: Sequence[str]) -> Cores:
    """Return what a report says of a map of `populations` on chips with such a mesh."""
    placed = sorted(core_map.cores, key=lambda core: (core.chip, core.core))
    return Cores(
        goal=core_map.goal,
        measured=core_map.measured,
        cores=len(core_map.cores),
        chips=core_map.chips,
        board=core_map.board,
        step=core_map.step_time,
        messages=core_map.messages,
        hops=core_map.hops,
        mesh=(mesh.columns.value, mesh.rows.value, mesh.cores.value),
        uses=core_map.uses,
        encodings=dict(Counter(one.encoding for one in core_map.stored)),
        layers=_layers(core_map, populations),
        cells=tuple(
            Cell(
                core=core.core,
                chip=core.chip,
                x=core.x,
                y=core.y,
                layers=tuple(dict.fromkeys(part.population for part in core.parts))[:NAMED],
                neurons=core.neurons,
                time=core.load.time,
            )
            for core in placed[:CELLS]
        ),
    )


def _layers(core_map: CoreMap, populations: Sequence[str]) -> tuple[LayerCores, ...]:
    neurons: defaultdict[str, Counter[int]] = defaultdict(Counter)
    time: defaultdict[str, float] = defaultdict(float)
    for core in core_map.cores:
        for part in core.parts:
            neurons[part.population][core.core] += part.neurons
            time[part.population] = max(time[part.population], core.load.time)
    return tuple(
        LayerCores(
            layer=name,
            cores=len(neurons[name]),
            neurons=(min(neurons[name].values()), max(neurons[name].values())),
            time=time[name],
        )
        for name in populations
        if name in neurons
    )
