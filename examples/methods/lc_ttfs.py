"""LC-TTFS, provisional: an ANN becomes a network whose spike times are its activations.

Yang, Zhang, Wu, Tan and Li, "LC-TTFS: towards lossless network conversion for spiking neural
networks with TTFS coding", 2023 (arXiv 2310.14978). From the paper's abstract, all that was read of
it: an algorithm that converts an ANN so that activations and spike times map onto each other almost
perfectly, by solving two problems that hinder that. Our reading of how: activations are cut to
0..1; a is sent in step (1 - a) T of a turn, pixels too; layers take turns of T = 16 steps, so that
no neuron fires before all of its input is there; a spike starts a potential that grows linearly
(rectified linear postsynaptic potentials: Zhang et al., arXiv 2003.11837) and has grown to weight a
at the end of the turn; then it grows no more, and the threshold falls linearly from 1. So what
arrives in step t of a turn counts 1 - t / T: at its end the same as a current that stays on.
"""

from dataclasses import replace

from latency import Code, Turns, plain_net, train_by_values
from record import Method
from shared import Task
from spoil import every_cell
from trip import main

from snn_deploy.frontends.layers import Cell
from snn_deploy.ir.network import Bias
from snn_deploy.ir.neuron import Tabled

STEPS = 16


def build(task: Task) -> Turns:
    """Return a network of linear codes."""
    return Turns(task, lambda: Code(STEPS))


def always(cell: Cell) -> Cell:
    """Return neurons whose bias acts in every step."""
    once = next(table for table in cell.tables if table.what is Tabled.BIAS)
    others = tuple(table for table in cell.tables if table is not once)
    return replace(cell, biases=(Bias(value=once.rows[0]),), tables=others)


METHOD = Method(
    name="LC-TTFS",
    key="lc_ttfs",
    build=build,
    train=train_by_values,
    digits=98.4,
    levels=1,
    plain_net=plain_net,
    provisional="only the abstract could be read; codes, turns and threshold are our reading",
    hazard="the bias acts in every step, not once",
    spoil=every_cell(always),
)

if __name__ == "__main__":
    main(METHOD)
