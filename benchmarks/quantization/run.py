"""How much do integer weights of 8 to 2 bits cost, by our methods and by three that others use?

    python benchmarks/quantization/run.py --output RESULTS          # writes RESULTS.md and .json
    python benchmarks/quantization/run.py --quick                   # one task, two widths, seconds

Every number comes from the event simulator running the program for the chip. train.py makes the
networks; those whose weights are missing are left out, and said.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cases import PUBLISHED_NAME, Amount, cases
from finetune import fine_tuned
from measure import Case, score, wanted
from rivals import PLAIN, Rule, quantized
from tables import Row, report
from tasks import TASKS

from snn_deploy.errors import DeployError
from snn_deploy.ir.program import Program
from snn_deploy.quantize import Options, compile_network
from snn_deploy.quantize.torch_halves import Halves, halves
from snn_deploy.targets import Target, find_target

BITS = (8, 6, 5, 4, 3, 2)
TUNED_BITS = (3, 2)
CHIP = "loihi2"
FREE = "cpu"
"""A target in which every neuron may have a threshold of its own."""

OURS = "ours"
OURS_FREE = "ours, per channel"
TUNED = "fine-tuned"


METHODS = (*(rule.value for rule in Rule), OURS, OURS_FREE, TUNED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured of each case."""

    bits: tuple[int, ...]
    methods: tuple[str, ...]
    epochs: int
    """Of fine-tuning."""

    samples: int | None
    """Training samples of fine-tuning at most."""


def rows_of(case: Case, plan: Plan) -> Iterator[Row]:
    """Yield one row per method and width."""
    want = wanted(case)
    start = halves(case.network, find_target(CHIP), encoding=case.encoding, options=PLAIN)
    for width in plan.bits:
        for method in plan.methods:
            if method == TUNED and width not in TUNED_BITS:
                continue
            made = score(case, want, _program(case, start, plan, method, width))
            yield Row(
                task=case.name,
                seed=case.seed,
                method=method,
                bits=width,
                target=_target(method).name,
                float_accuracy=want.accuracy,
                accuracy=made.accuracy,
                agreement=made.agreement,
                mismatch=made.mismatch,
                overflows=made.overflows,
            )


def _target(method: str) -> Target:
    return find_target(FREE if method == OURS_FREE else CHIP)


def _program(case: Case, start: Halves, plan: Plan, method: str, width: int) -> Program:
    """Return the program that a method makes."""
    options, target = Options(weight_bits=width), _target(method)
    if method == TUNED:
        return fine_tuned(case, target, options, epochs=plan.epochs, samples=plan.samples)
    if method in (OURS, OURS_FREE):
        return compile_network(
            case.network,
            target,
            encoding=case.encoding,
            calibration=case.calibration,
            options=options,
        ).program
    return start.finished(quantized(start, Rule(method), width)).program


def main() -> None:
    """Measure, print the tables, and write them."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    names = [*(task.name for task in TASKS), PUBLISHED_NAME]
    parser.add_argument("--tasks", nargs="*", default=names, help=", ".join(names))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--bits", type=int, nargs="+", default=BITS)
    parser.add_argument("--samples", type=int, default=800, help="test samples at most")
    parser.add_argument("--calibration", type=int, default=256, help="calibration samples")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--epochs", type=int, default=8, help="of fine-tuning")
    parser.add_argument("--train", type=int, help="training samples of fine-tuning at most")
    parser.add_argument("--quick", action="store_true", help="one small task, to see it run")
    parser.add_argument("--output", type=Path, help="write OUTPUT.md and OUTPUT.json")
    parser.add_argument("--add", type=Path, nargs="*", default=[], help="rows of earlier runs")
    given = parser.parse_args()
    if given.quick:
        given.tasks, given.seeds, given.bits = ["spike-times"], [0], [2]
        given.samples, given.calibration, given.epochs, given.train = 20, 16, 1, 64

    rows = [Row(**row) for file in given.add for row in json.loads(file.read_text())]
    start = time.monotonic()
    plan = Plan(
        bits=tuple(given.bits),
        methods=tuple(given.methods),
        epochs=given.epochs,
        samples=given.train,
    )
    amount = Amount(samples=given.samples, calibration=given.calibration)
    for case in cases(given.tasks, given.seeds, amount):
        for row in rows_of(case, plan):
            rows.append(row)
            print(f"{time.monotonic() - start:6.0f} s  {row}", file=sys.stderr, flush=True)
            _write(rows, given.output)
    _write(rows, given.output)
    if not rows:
        raise DeployError("no network to measure", fix="python benchmarks/quantization/train.py")
    print(report(rows))


def _write(rows: list[Row], output: Path | None) -> None:
    """Write what there is so far."""
    if output is not None and rows:
        output.with_suffix(".md").write_text(report(rows))
        output.with_suffix(".json").write_text(json.dumps([row.record() for row in rows], indent=0))


if __name__ == "__main__":
    main()
