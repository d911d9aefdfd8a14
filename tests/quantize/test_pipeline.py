"""The pipeline lists, prints, hashes and replays its passes."""

from dataclasses import replace

import numpy as np
import pytest
from networks import random_network

from snn_deploy.errors import LoopTooShortError
from snn_deploy.ir.codecs import Encode, Encoding
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Input, Network, Output, Population, Projection, Reset, Synapse
from snn_deploy.ir.neuron import ResetKind
from snn_deploy.ir.text import print_program
from snn_deploy.ir.trace import Values
from snn_deploy.quantize import Options, compile_network, pipeline_for
from snn_deploy.targets import find_target

LOIHI2, CPU = find_target("loihi2"), find_target("cpu")


def pipeline(target=LOIHI2, encoding=None, calibration=None, options=None):
    return pipeline_for(
        target,
        encoding=encoding or Encoding(),
        calibration=calibration,
        options=options or Options(),
    )


def test_the_printed_pipeline_for_loihi(golden):
    data = [Values(name="in", values=np.zeros((2, 5, 3)))]
    encoding = Encoding(how=Encode.RATE, steps=16, seed=7)
    golden(f"{pipeline(encoding=encoding, calibration=data, options=Options(weight_bits=4))}\n")


def test_the_printed_pipeline_for_cpu(golden):
    golden(f"{pipeline(CPU)}\n")


def test_a_pipeline_lists_its_passes():
    assert [step.name for step in pipeline(CPU)] == [
        "fold-maps",
        "fold-gains",
        "to-integers",
        "retime",
        "lower-biases",
        "add-relays",
        "check-features",
        "check-ranges",
    ]


def test_the_digest_changes_with_all_that_a_pass_decides():
    values = np.zeros((1, 4, 2))
    other = values.copy()
    other[0, 0, 0] = 1
    coarse = replace(LOIHI2, delay=replace(LOIHI2.delay, high=62))
    digests = [
        pipeline().digest,
        pipeline(coarse).digest,
        pipeline(encoding=Encoding(high=2)).digest,
        pipeline(options=Options(search=False)).digest,
        pipeline(calibration=[Values(name="in", values=values)]).digest,
        pipeline(calibration=[Values(name="in", values=other)]).digest,
    ]
    assert len(set(digests)) == len(digests)
    assert pipeline().digest == digests[0]


@pytest.mark.parametrize("seed", range(4))
def test_the_same_network_gives_the_same_program(seed):
    network = random_network(np.random.default_rng(seed))
    again = random_network(np.random.default_rng(seed))
    digests = {compile_network(n, CPU).program.digest for n in (network, again)}
    assert len(digests) == 1


def recurrent(delay):
    population = Population(
        name="l",
        shape=(3,),
        decay=np.asarray(0.9),
        synapse=Synapse(decay=np.asarray(0.5)),
        reset=Reset(kind=ResetKind.VALUE),
    )
    relay = replace(population, name="r")

    def wire(source, target, steps):
        size = 2 if source == "in" else 3
        return Projection(
            name=f"{source}>{target}",
            source=source,
            target=target,
            map=Dense(weight=np.full((3, size), 0.5)),
            delay=np.asarray(steps),
        )

    return Network(
        name="loop",
        inputs=(Input(name="in", shape=(2,)),),
        populations=(population, relay),
        projections=(wire("in", "l", 0), wire("l", "r", 0), wire("r", "l", delay)),
        outputs=(Output(name="out", population="r"),),
    )


def test_a_loop_too_short_for_the_chip_is_refused_before_anything_is_searched():
    with pytest.raises(LoopTooShortError) as caught:
        compile_network(recurrent(1), LOIHI2)
    assert str(caught.value) == (
        "error[SNN304]: a loop of 2 projections has 1 step of delay, "
        "but the chip needs 1 for each, 2 in all\n"
        "  at: l -> r -> l\n"
        "  fix: --time-dilation 2, which gives each step of the network 2 on the chip; "
        "or train with more delay in the loop; or --target cpu"
    )
    assert compile_network(recurrent(1), CPU).program.lag == 0
    assert compile_network(recurrent(2), LOIHI2).program.lag == 2


def test_the_printed_program(golden):
    golden(print_program(compile_network(recurrent(3), LOIHI2).program))
