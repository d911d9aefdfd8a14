"""A small network with hand-made numbers, as a deployment that has data."""

from dataclasses import replace

import numpy as np
import pytest

from snn_deploy.deploy.data import Data
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.mapped import mapped
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Input, Network, Output, Population, Projection, Reset
from snn_deploy.ir.neuron import Decode, Fires, ResetKind
from snn_deploy.ir.trace import Values
from snn_deploy.quantize import compile_network
from snn_deploy.targets import find_target

STEPS = 8


def make(
    inputs: int = 4, hidden: int = 6, name: str = "hidden", samples: int = 2, seed: int = 0
) -> Deployment:
    """Return a deployment of two layers without its network of real values."""
    rng = np.random.default_rng(seed)
    network = Network(
        name="small",
        inputs=(Input(name="in", shape=(inputs,)),),
        populations=(
            Population(
                name=name,
                shape=(hidden,),
                decay=np.asarray(0.5),
                reset=Reset(kind=ResetKind.VALUE),
            ),
            Population(name="out", shape=(2,), decay=np.asarray(1.0), fires=Fires.NEVER),
        ),
        projections=(
            Projection(
                name=f"in to {name}",
                source="in",
                target=name,
                map=Dense(weight=rng.integers(-3, 5, (hidden, inputs)) / 4),
            ),
            Projection(
                name=f"{name} to out",
                source=name,
                target="out",
                map=Dense(weight=rng.integers(-2, 3, (2, hidden)) / 2),
            ),
        ),
        outputs=(Output(name="class", population="out", decode=Decode.MEMBRANE_END),),
    )
    target = find_target("loihi2")
    encoding = Encoding(low=0, high=1)
    compiled = compile_network(network, target, encoding=encoding)
    spikes = (rng.random((samples, STEPS, inputs)) < 0.5).astype(np.int32)
    deployment = Deployment(
        program=compiled.program,
        target=target,
        encoding=encoding,
        nir=None,
        pipeline=tuple(compiled.pipeline.splitlines()),
        findings=compiled.findings,
        layers=(),
        model_digest="0" * 64,
        model_bytes=100,
        samples=Data.of((Values(name="in", values=spikes),), np.arange(samples) % 2),
    )
    return mapped(deployment)


@pytest.fixture
def small() -> Deployment:
    """Return a deployment that nothing is wrong with."""
    return make()


EVIL = "<script>alert(1)</script>\"'&\x07\u202e${x}$"


@pytest.fixture
def evil() -> Deployment:
    """Return a deployment whose texts try to be markup."""
    found = Finding(kind=Kind.GUESSED, layer=EVIL, amount=f"{EVIL} amount", reason=f"{EVIL} why")
    made = make(name=EVIL)
    options = {"name": EVIL, "calibrate": {"name": EVIL}}
    return replace(made, findings=(*made.findings, found), pipeline=(EVIL,), configuration=options)
