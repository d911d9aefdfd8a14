"""Run the network of this folder in Lava: python run_lava.py [--input FILE] [--output FILE].

Without arguments: one sample of random input, and a table of the spikes of each population.
Needs Python 3.10 with numpy and lava-nc 0.10.0, nothing else.

    --input FILE.npz   whole numbers: `input` [sample, step, ...shape], or an array per input name
    --hardware         on a chip: outputs only, .payload or .membrane, and stock processes only
    --output FILE.npz  writes `<population>.events` and `.spikes` [sample, ...shape], `.overflows`,
                       and what is recorded: `.payload`, `.membrane`, `.current`
                       [sample, step, ...shape]
"""

import argparse
import multiprocessing
import os
import sys
import traceback
from importlib.machinery import FileFinder, SourceFileLoader
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

sys.dont_write_bytecode = True  # a run leaves the artifact's folder as it was


class Source(SourceFileLoader):
    """Compiles a module each time that it is imported."""

    def get_code(self, fullname):
        """Return the module's code, from the file that the manifest lists and no other."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def sources_only(path):
    """Return what finds the modules beside this file; compiled ones may be of anybody."""
    found = Path(path).resolve()
    if found != FOLDER and FOLDER / "snn_lava" not in (found, *found.parents):
        raise ImportError(f"{path} is not ours")
    return FileFinder(path, (Source, [".py"]))


sys.path_hooks.insert(0, sources_only)
sys.path_importer_cache.clear()  # Python has looked at this folder to find what it runs


def arguments():
    """Return the command line, parsed."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n    ")[0], formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--input", type=Path, help="NPZ of whole numbers; default: random ones")
    parser.add_argument("--output", type=Path, help="NPZ to write; default: none")
    parser.add_argument("--steps", type=int, default=20, help="steps of random input (default 20)")
    parser.add_argument(
        "--record",
        choices=("spikes", "states", "none"),
        default="spikes",
        help="what --output holds for every step (default spikes)",
    )
    parser.add_argument(
        "--unroll",
        action="store_true",
        help="run convolutions as sparse connections: the same numbers, and faster here",
    )
    parser.add_argument(
        "--hardware",
        action="store_true",
        help="run on a Loihi 2 with Intel's lava-loihi; never tried on a chip",
    )
    return parser.parse_args()


def main():
    """Read, run, write, print."""
    options = arguments()
    for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(pool, "1")  # Lava's processes are many; threads in each only cost
    try:
        import numpy as np  # noqa: PLC0415 - after the number of threads is set
        from snn_lava import files, session, table  # noqa: PLC0415 - the same
    except ImportError as problem:
        raise SystemExit(f"{problem}; needed are Python 3.10 and lava-nc==0.10.0") from problem
    program, plan = files.read_program(FOLDER), files.read_plan(FOLDER)
    if options.input is None:
        inputs = files.random_inputs(program, options.steps)
    else:
        inputs = files.read_inputs(options.input, program)
    if options.unroll:
        session.unroll(plan)
    if options.hardware:
        from snn_lava import hardware  # noqa: PLC0415 - it asks for Intel's extension

        trace = hardware.run(program, plan, inputs)
    else:
        trace = session.run(program, plan, inputs, options.record if options.output else "none")
    if options.output is not None:
        np.savez(options.output, **trace)
    where = "on Loihi 2" if options.hardware else "in Lava's simulator"
    print(table.text(program, plan, trace, inputs, where))


def leave(status):
    """End without waiting for Lava's processes, which hang after an error."""
    sys.stdout.flush()
    sys.stderr.flush()
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(status)


if __name__ == "__main__":
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(f"error: {end.code}", file=sys.stderr)
        leave(end.code if isinstance(end.code, int) else 1 if end.code else 0)
    except BaseException:
        traceback.print_exc()
        leave(1)
    leave(0)
