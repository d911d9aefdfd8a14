"""The range proof stands in `inspect`, in the JSON of `export`, and beside counted overflows."""

import json

import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.printing import as_record
from snn_deploy.deploy.ranges import ranges_of
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, Fires
from snn_deploy.ir.program import Current, Input, Population, Program, Projection
from snn_deploy.targets import find_target

LOIHI2 = find_target("loihi2")


@pytest.fixture
def deployment() -> Deployment:
    """Return a current that sums up without end, and a readout behind it that cannot."""
    sums = Population(
        name="sums",
        shape=(2,),
        decay=np.asarray(0),
        current=Current(decay=np.asarray(4096)),
        fires=Fires.BINARY,
        threshold=np.asarray(6400),
    )
    readout = Population(
        name="readout", shape=(1,), decay=np.asarray(2048), fires=Fires.NEVER, lag=1
    )
    wires = (("in", "sums", [[10], [-1000]]), ("sums", "readout", [[10, 10]]))
    program = Program(
        name="net",
        target="loihi2",
        arithmetic=LOIHI2.arithmetic,
        inputs=(Input(name="in", shape=(1,)),),
        populations=(sums, readout),
        projections=tuple(
            Projection(
                name=f"{source}>{target}",
                source=source,
                target=target,
                map=Dense(weight=np.asarray(weight, np.int32)),
                shift=6,
                delay=np.asarray(1 if source == "sums" else 0),
            )
            for source, target, weight in wires
        ),
        outputs=(Output(name="out", population="readout", decode=Decode.MEMBRANE_END),),
    )
    return Deployment(
        program=program,
        target=LOIHI2,
        encoding=Encoding(),
        nir=None,
        pipeline=(),
        findings=(),
        layers=(),
        model_digest="0" * 64,
        model_bytes=0,
    )


TABLE = """ranges, for all inputs that the program admits, in runs of any length
  population  sum of weights  current                                 membrane                                 proven for
  sums        proven          up to 8452607 of 8388607 at neuron [1]  up to 8388608 of 8388607 at neuron [1]  up to 130 steps
  readout     proven          -                                       proven                                  any run"""  # noqa: E501 - a table


def test_inspect_shows_every_register_of_every_population(deployment, tmp_path):
    deployment.save(tmp_path / "net")
    inspection = snn_deploy.inspect(tmp_path / "net")
    assert str(inspection.ranges) in str(inspection)
    assert cells(str(inspection.ranges)) == cells(TABLE)


def cells(table: str) -> list[list[str]]:
    """Return the cells of a table, however wide its columns."""
    rows = [line.split("  ") for line in table.splitlines()]
    return [[cell.strip() for cell in row if cell.strip()] for row in rows]


def test_the_json_of_an_export_holds_the_proof(deployment):
    record = json.loads(as_record(deployment))["ranges"]
    assert record["steps"] is None
    sums, readout = record["populations"]
    assert (sums["proven"], sums["steps"]) == (False, 130)
    assert (readout["proven"], readout["steps"]) == (True, None)
    assert sums["registers"][1] == {
        "register": "the current",
        "proven": False,
        "reach": 8452607,
        "holds": 8388607,
        "neuron": [1],
        "unproven": 2,
        "overflow": "wrap-once",
        "text": "up to 8452607 of 8388607 at neuron [1]",
    }


def test_declared_steps_are_proven_where_longer_runs_are_not(deployment):
    """The input ends before the last step of a run, so 131 steps of it are in order too."""
    assert 131 * 64_000 <= 8388607 < 132 * 64_000
    ranges = ranges_of(deployment.program, LOIHI2, 131)
    assert ranges.proven
    assert [p.steps for p in ranges.populations] == [130, None]
    assert not ranges_of(deployment.program, LOIHI2, 132).proven


def test_simulate_shows_what_is_ruled_out_beside_what_overflowed(deployment):
    for steps, proven, overflows in ((131, "proven", 0), (132, "no", 1)):
        values = np.ones((1, steps, 1), np.int32)
        found = snn_deploy.simulate(deployment, input={"input": values}, backend="reference")
        (row,) = (r for r in str(found).splitlines() if r.split()[:1] == ["sums"])
        assert row.split()[-2:] == [str(overflows), proven]
