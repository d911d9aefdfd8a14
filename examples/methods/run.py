"""Run the examples of training methods, and write what came of them as JSON.

    python run.py
    python run.py --quick sltt ottt

Rows that are not run keep what the file has of them.
"""

import argparse
import importlib
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from record import Method, Row
from trip import take

KEYS = (
    *("sltt", "rate_bp", "ottt", "dsr", "dsr_lif", "tssl_bp", "da_lif", "hta_kl", "hybrid"),
    *("bntt", "tt_snn", "tt_snn_htt", "ottt_f", "spide"),
    *("t2fsnn", "park_yoon", "lc_ttfs", "ettfs", "yoso", "eventprop", "eventprop_vowels"),
    *("eicil", "full_force", "full_force_lorenz"),
)
"""Files that hold a method, in the order of the table."""

LARGER = 1.2
"""Factor by which the error of integers may exceed that of real numbers."""

RESULTS = Path(__file__).parent / "results.json"


def method(key: str) -> Method:
    """Return the method of a file."""
    return importlib.import_module(key).METHOD


def faults(row: Row) -> list[str]:
    """Return what a row promises and does not keep; accuracies are judged of full runs only."""
    checks = [
        (row.different_spikes == 0, f"{row.different_spikes} spikes differ"),
        (row.different_answers == 0, f"{row.different_answers} answers differ"),
        (row.nir_again, "NIR read again is another network"),
        (row.bit_exact, "reference and event differ"),
        (row.lava != "differs", "Lava differs"),
        (row.caught, f"not seen: {row.hazard}"),
    ]
    if not row.quick and row.float_error is not None:
        checks += [
            (row.float_error <= row.plain_error, "worse than plain training"),
            (row.integer_error <= LARGER * row.float_error, "integers: error too large"),
        ]
    elif not row.quick:
        small = row.digits_accuracy
        checks += [
            (small is None or small >= row.digits_goal - 1, "8 x 8 digits: too low"),
            (row.float_accuracy >= row.plain_accuracy - 2, "worse than plain training"),
            (row.integer_accuracy >= row.float_accuracy - 1, "integers: too low"),
        ]
    return [what for kept, what in checks if not kept]


def good(row: Row) -> str:
    """Return how good the network of a row is."""
    if row.float_error is not None:
        return f"error {row.float_error:.3f}"
    return f"{row.float_accuracy:5.1f} %"


def taken(key: str, *, quick: bool) -> Row:
    """Return what comes of the trip of a file's method."""
    return take(method(key), quick=quick)


def main() -> None:
    """Run the rows that are named, or all of them."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(KEYS))
    parser.add_argument("--quick", action="store_true", help="few samples, six epochs")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time; each takes one core")
    given = parser.parse_args()
    found = json.loads(given.output.read_text()) if given.output.exists() else {}
    wrong = []
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.jobs, spawned, max_tasks_per_child=1) as pool:
        rows = {pool.submit(taken, key, quick=given.quick): key for key in given.names or KEYS}
        for done in as_completed(rows):
            key, got = rows[done], done.result()
            found[key] = asdict(got)
            told = "; ".join(faults(got))
            wrong += [f"{key}: {told}"] if told else []
            print(f"{key:10} {good(got)} {told or 'all kept'}", flush=True)
            ordered = {name: found[name] for name in KEYS if name in found}
            given.output.write_text(json.dumps(ordered, indent=1) + "\n")
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
