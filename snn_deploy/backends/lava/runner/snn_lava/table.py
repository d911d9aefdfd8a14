"""The table that a run prints."""

import numpy as np


def text(program, plan, trace, inputs, where="in Lava's simulator"):
    """Return an aligned table: what each population did and what runs it, `where` it ran."""
    samples, steps = next(iter(inputs.values())).shape[:2]
    rows = [("population", "neurons", "spikes", "process", "")]
    for population, how in zip(program.populations, plan.populations, strict=True):
        counted = trace.get(f"{population.name}.spikes")
        spikes = "-" if counted is None else int(counted.sum())
        processes = how.process if len(how.groups) < 2 else f"{len(how.groups)} x {how.process}"
        neurons = int(np.prod(population.shape))
        rows.append((population.name, str(neurons), str(spikes), processes, _why(how)))
    rows.append(("projection", "", "", "process", ""))
    for how in plan.projections:
        rows.append((how.name, "", "", how.process, _why(how)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [f"{program.name}: {samples} sample(s) of {steps} steps {where}"]
    for name, neurons, spikes, process, why in rows:
        cells = (
            name.ljust(widths[0]),
            neurons.rjust(widths[1]),
            spikes.rjust(widths[2]),
            process.ljust(widths[3]),
            why,
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _why(how):
    return f"{how.support} ({how.reason})" if how.reason else how.support
