"""Says how many branches of the package the tests took: python tests/branches.py JSON --least N."""

import argparse
import json
import sys
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="what `coverage json` wrote")
    parser.add_argument("--least", type=float, default=0.0, help="percent, below which it fails")
    given = parser.parse_args()
    totals = json.loads(given.file.read_text())["totals"]
    taken, branches = totals["covered_branches"], totals["num_branches"]
    percent = 100 * taken / branches
    print(f"{taken:,} of {branches:,} branches were taken: {percent:.2f} %")
    if percent < given.least:
        sys.exit(f"fewer than {given.least:g} %")


if __name__ == "__main__":
    main()
