"""Samples that settings are chosen on, and others that nothing is chosen on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.deploy.data import Data, data_from
from snn_deploy.deploy.tuning.wanted import Wanted
from snn_deploy.errors import DataError
from snn_deploy.ir.words import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """Samples, what they are for, and where they are from, in words."""

    choose: Data
    chosen_on: str
    test: Data
    tested_on: str


def apart(data: Any, test: Any, names: tuple[str, ...], wanted: Wanted) -> Apart:
    """Return the samples that settings are chosen on, and others to report on.

    Raises:
        DataError: samples without labels, or too few to part them.
    """
    whole = data_from(data, names)
    tests = None if test is None else data_from(test, names)
    for option, one in (("--data", whole), ("--test", tests)):
        if one is not None and one.label is None:
            raise DataError(
                "tuning counts right answers, and the data has no labels",
                where=option,
                fix="np.savez(FILE, input=array, label=whole numbers)",
            )
    source = Path(data).name if isinstance(data, str | Path) else "data in memory"
    if tests is not None:
        choose = whole.spread(wanted.samples)
        where = Path(test).name if isinstance(test, str | Path) else "data in memory"
        return Apart(
            choose=choose,
            chosen_on=f"{counted(choose.samples, 'sample')} of {source}",
            test=tests,
            tested_on=f"{counted(tests.samples, 'sample')} of {where}",
        )
    order = np.random.default_rng(0).permutation(whole.samples)
    held = round(wanted.split * whole.samples)
    if not 0 < held < whole.samples:
        raise DataError(
            f"{counted(whole.samples, 'sample')} cannot be parted to choose and to test on",
            where="--data",
            fix="give more samples, or --test FILE",
        )
    tests, choose = whole.chosen(np.sort(order[:held])), whole.chosen(np.sort(order[held:]))
    choose = choose.spread(wanted.samples)
    others = f"{counted(held, 'other')} of it, drawn at random"
    return Apart(
        choose=choose,
        chosen_on=f"{counted(choose.samples, 'sample')} of {source}",
        test=tests,
        tested_on=others,
    )
