"""Neurons that may send any number of spikes in a step, on their way to chips that cannot."""

from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.nir import SPIKE_CAP
from snn_deploy.ir.findings import Finding, Kind


def largest_count(graph: LayerGraph, framework: str) -> int:
    """Return how many spikes of a step such a neuron may send; say so, once for the network."""
    finding = Finding(
        kind=Kind.CHANGED,
        layer="",
        amount=f"at most {SPIKE_CAP} spikes a step of one neuron",
        reason=f"{framework} has no such bound here; a chip's messages need one",
    )
    if finding not in graph.findings:
        graph.findings.append(finding)
    return SPIKE_CAP
