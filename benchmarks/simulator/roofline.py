"""Builds and runs roofline.c: the best rate at which this machine adds rows of int8 weights."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).parent / "roofline.c"
FLAGS = ("-O3", "-march=native")
LIMIT = 120.0
"""Seconds that building or running it may take."""


def roofline(seconds: float) -> dict[str, float] | str:
    """Return synaptic operations a second by kernel and threads, or why there are none.

    Args:
        seconds: How long each kernel runs; the best of its slices of about a millisecond counts.
    """
    compiler = os.environ.get("CC") or shutil.which("cc")
    if compiler is None:
        return "no C compiler: neither the variable CC nor a cc on the path"
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "roofline"
        build = [compiler, *FLAGS, "-o", binary, SOURCE, "-lpthread"]
        try:
            subprocess.run(build, check=True, capture_output=True, text=True, timeout=LIMIT)
            ended = subprocess.run(
                [binary, str(seconds)], check=True, capture_output=True, text=True, timeout=LIMIT
            )
        except (OSError, subprocess.SubprocessError) as problem:
            said = getattr(problem, "stderr", None) or str(problem)
            return f"roofline.c did not run: {said.strip().splitlines()[0]}"
    return {name: float(rate) for name, rate in json.loads(ended.stdout).items()}
