"""An estimate as text."""

import math
from collections.abc import Iterator

from snn_deploy.deploy.energy.events import Event, Span
from snn_deploy.deploy.energy.latency import Latency, Phase
from snn_deploy.deploy.energy.memory import Memory
from snn_deploy.deploy.energy.model import Estimate
from snn_deploy.deploy.table import aligned
from snn_deploy.ir.words import counted

PREFIXES = {0: "", -3: "m", -6: "u", -9: "n", -12: "p", -15: "f"}

LEAST_SHARE = 0.005
"""Of the energy: kinds below are not listed."""

PHASES = {
    Phase.GENERATION: "updating neurons and sending",
    Phase.PROCESSING: "receiving messages and reaching synapses",
}


def quantity(value: float, unit: str) -> str:
    """Return a number with four digits and a prefix of its unit, such as 12.35 uJ."""
    if math.isnan(value):
        return "unknown"
    power = 0 if value == 0 else 3 * math.floor(math.log10(abs(value)) / 3)
    power = min(0, max(min(PREFIXES), power))
    return f"{value / 10.0**power:.4g} {PREFIXES[power]}{unit}"


def estimate_text(found: Estimate) -> str:
    """Return what `snn-deploy estimate` prints."""
    profile = found.profile
    lines = [f"energy estimate: {profile.title}"]
    if found.note:
        lines.append(found.note)
    lines += [
        f"mean of {counted(found.samples, 'sample')} of {counted(found.steps, 'step')}",
        "",
        aligned(list(_rows(found)), right=(1, 2, 3, 4, 5, 6)),
        "",
        *_summary(found),
    ]
    lines += [f"not in it  {item.what}: {item.reason}" for item in found.unpriced]
    return "\n".join(lines)


def _rows(found: Estimate) -> Iterator[tuple[str, ...]]:
    yield ("layer", "neurons", "spikes", "synaptic ops", "updates", "energy", "share")
    known, total = bool(found.by_event), found.value or 1.0
    for layer in found.layers:
        counts = layer.count.counts
        yield (
            layer.count.layer,
            f"{layer.count.neurons}",
            f"{counts.get(Event.SPIKE, 0):,.1f}",
            f"{layer.count.synaptic:,.0f}",
            f"{counts.get(Event.NEURON_UPDATE, 0):,.0f}",
            quantity(layer.value, "J") if known else "unknown",
            f"{layer.value / total:.1%}" if known else "",
        )
    if found.static is not None:
        static = found.static.value
        yield ("(at rest)", "", "", "", "", quantity(static, "J"), f"{static / total:.1%}")


def _summary(found: Estimate) -> Iterator[str]:
    yield f"energy     {_span(found.span, 'J', found.steps)}"
    if found.by_event:
        total = found.value or 1.0
        kinds = sorted(found.by_event.items(), key=lambda item: -item[1])
        yield "of it      " + ", ".join(
            f"{event.value} {joule / total:.0%}"
            for event, joule in kinds
            if joule / total >= LEAST_SHARE
        )
    if found.latency is not None:
        yield from _time(found.latency)
    if found.memory is not None:
        yield f"memory     {_memory(found.memory)}"


def _span(span: Span, unit: str, steps: float) -> str:
    """Return a number per sample with its ends, and per step."""
    if math.isnan(span.value):
        return "unknown: nothing that was counted has a price"
    ends = f"{quantity(span.low, unit)} to {quantity(span.high, unit)}"
    step = quantity(span.value / steps, unit)
    return f"{quantity(span.value, unit)} a sample ({ends}), {step} a step"


def _time(latency: Latency) -> Iterator[str]:
    steps = f", {latency.steps:g} steps with the lag"
    yield f"time       {_span(latency.sample, 's', latency.steps)}{steps}"
    if latency.queued is not None:
        yield f"queues     {quantity(latency.queued, 's')} a sample if messages wait at their cores"
    if latency.barrier is not None:
        yield f"barrier    {quantity(latency.barrier.value, 's')} of each step"
    for core in latency.slowest[:1]:
        yield (
            f"slowest    core {core.core} ({', '.join(core.layers)}) in {core.steps:.0%} of the "
            f"steps: {PHASES[core.phase]}"
        )


def _memory(memory: Memory) -> str:
    synapses, states = (f"{bits / 8192:,.1f} KiB" for bits in (memory.synapses, memory.states))
    where = "" if memory.cores is None else f", on {counted(memory.cores, 'core')}"
    return f"synapses {synapses}, states {states}{where}"
