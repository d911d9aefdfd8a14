"""What is said of a network that does not fit: what is short, by how much, a way out."""

from snn_deploy.deploy.mapping.core_map import Part
from snn_deploy.deploy.mapping.cutting import Cut, Unfit
from snn_deploy.deploy.mapping.layer import Layer
from snn_deploy.errors import CoresError
from snn_deploy.ir.words import counted
from snn_deploy.targets import Resource, Target

WORDS = {
    Resource.NEURONS: "neurons",
    Resource.INPUT_AXONS: "input axons",
    Resource.OUTPUT_AXONS: "output axons",
    Resource.SYNAPSE_MEMORY: "bits of synapse memory",
    Resource.CORE_MEMORY: "bits of core memory",
    Resource.NEURON_CONFIGURATIONS: "different sets of decays",
    Resource.THRESHOLDS: "different thresholds",
    Resource.SYNAPSE_FORMATS: "different synapse formats",
}

WAYS_OUT = {
    Resource.INPUT_AXONS: "split its inputs: let neurons in between take some of them each",
    Resource.OUTPUT_AXONS: "let it drive fewer layers or smaller ones: each core that it reaches "
    "takes one of its output axons",
    Resource.SYNAPSE_MEMORY: "give it fewer sources, or weights of fewer bits: --bits 4",
    Resource.CORE_MEMORY: "give it fewer sources",
    Resource.SYNAPSE_FORMATS: "merge projections into it that have the same source",
}


def unfit(problem: Unfit, target: Target) -> CoresError:
    """Return the error for a population of which not even the smallest part fits on a core."""
    part = problem.part
    what = counted(part.neurons, "neuron")
    return CoresError(
        f"{part.population} needs {problem.needed} {WORDS[problem.resource]} of "
        f"{problem.limit} on a core of {target.name}, for {what}",
        where=part.population,
        fix=WAYS_OUT.get(problem.resource, "a smaller layer"),
    )


def too_few_cores(cut: Cut, layers: dict[str, Layer], target: Target, cores: int) -> CoresError:
    """Return the error for fewer cores than the limits need.

    It names what would be exceeded most if every population had its share of these cores.
    """
    worst: tuple[float, Part, Resource, int, int] | None = None
    held = [part for core in cut.cores for part in core.parts]
    for name, layer in layers.items():
        own = sum(part.population == name for part in held)
        share = max(1, own * cores // len(cut.cores))
        channels, places = layer.grid
        part = layer.part((0, channels), (0, -(-places // share)))
        for resource, needed, limit in layer.usage(part).beyond(layer.limits):
            if worst is None or needed / limit > worst[0]:
                worst = needed / limit, part, resource, needed, limit
    needs = f"{target.name} needs {counted(len(cut.cores), 'core')} for it, not {cores}"
    if worst is None:
        message = f"the network does not fit on {counted(cores, 'core')}: {needs}"
        return CoresError(message, fix=f"--cores {len(cut.cores)}")
    _, part, resource, needed, limit = worst
    return CoresError(
        f"the network does not fit on {counted(cores, 'core')}: {part.population} would need "
        f"{needed} {WORDS[resource]} of {limit} on a core; {needs}",
        where=part.population,
        fix=f"--cores {len(cut.cores)}, or auto",
    )


def too_many_chips(cut: Cut, target: Target, per_chip: int, chips: int) -> CoresError:
    """Return the error for a network that needs more chips than there are."""
    cores = len(cut.cores)
    needed = -(-cores // per_chip)
    return CoresError(
        f"the network needs {counted(cores, 'core')}, which are {counted(needed, 'chip')} of "
        f"{target.name} with {per_chip} each; there {'is' if chips == 1 else 'are'} {chips}",
        fix=f"--chips {needed} where there are so many, or a network of "
        f"{per_chip * chips / cores:.0%} of the size",
    )
