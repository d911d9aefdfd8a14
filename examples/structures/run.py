"""Run the examples of structures, and write what came of them as JSON.

    python run.py
    python run.py --quick sew18 vgg11

Each runs in a process of its own, so that its memory can be told. Rows that are not run keep what
the file has of them.
"""

import argparse
import importlib
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from measured import Row, take
from shared import Structure

FILES = (
    *("sew", "ms", "preact", "nf", "vgg"),
    *("sdsa", "ilif", "plif", "ternary", "qcfs", "alif", "dcls"),
)
"""Files that hold structures, in the order of the table."""

RESULTS = Path(__file__).parent / "results.json"

LEAST_ACTIVE = 2.0
MOST_ACTIVE = 60.0
"""Share of neurons and steps with a spike in each layer, without which it would show little [%]."""


def structures() -> dict[str, Structure]:
    """Return all structures by their key."""
    found = [each for file in FILES for each in importlib.import_module(file).STRUCTURES]
    return {each.key: each for each in found}


def faults(structure: Structure, row: Row) -> list[str]:
    """Return what a row promises and does not keep."""
    if structure.refused or row.refused:
        return [] if row.refused == structure.refused else ["it is not refused as it must be"]
    checks = [
        (row.different_spikes == 0, f"{row.different_spikes} spikes differ"),
        (row.same_answers, "answers differ"),
        (row.nir_again, "NIR read again is another network"),
        (row.bit_exact, "reference and event differ"),
        (row.lava != "differs", "Lava differs"),
        (row.least_active >= LEAST_ACTIVE, f"a layer is active by {row.least_active:.1f} %"),
        (row.most_active <= MOST_ACTIVE, f"a layer is active by {row.most_active:.1f} %"),
    ]
    return [what for kept, what in checks if not kept]


def taken(key: str, quick: bool) -> Row:
    """Return the row of a key: what runs in a process of its own."""
    return take(structures()[key], quick=quick)


def main() -> None:
    """Run the structures that are named, or all of them."""
    known = structures()
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--quick", action="store_true", help="narrow, without Lava and Loihi 1")
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(known))
    if unknown:
        parser.error(f"{', '.join(unknown)}: known are {', '.join(known)}")
    found = json.loads(given.output.read_text()) if given.output.exists() else {}
    wrong = []
    for name in given.names or known:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
            row = pool.submit(taken, name, given.quick).result()
        print(f"{name}: {row}", flush=True)
        wrong += [f"{name}: {what}" for what in faults(known[name], row)]
        found[name] = asdict(row)
        ordered = {key: found[key] for key in known if key in found}
        given.output.write_text(json.dumps(ordered, indent=1) + "\n")
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
