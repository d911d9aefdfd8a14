"""full-FORCE on a Lorenz system; see `full_force.py`.

The system's three coordinates (sigma 10, rho 28, beta 8 / 3) for 4 units of its time in a trial of
one second, without their mean and scaled to 1: a piece of a chaotic trajectory, which the pulse
starts again.
"""

import numpy as np
from cascade import DT
from full_force import method
from trip import main

SPEED = 4.0
"""Units of the system's time in a second."""

SIGMA, RHO, BETA = 10.0, 28.0, 8 / 3
START = (-8.0, 7.0, 27.0)
FINE = 20
"""Steps of Runge and Kutta in one of the network."""


def slope(x: np.ndarray) -> np.ndarray:
    """Return the derivative of the system's state."""
    return np.array([SIGMA * (x[1] - x[0]), x[0] * (RHO - x[2]) - x[1], x[0] * x[1] - BETA * x[2]])


def lorenz(steps: int) -> np.ndarray:
    """Return the coordinates [step, 3]."""
    x, rows, h = np.array(START), [], SPEED * DT / FINE
    for _ in range(steps):
        rows.append(x)
        for _ in range(FINE):
            a = slope(x)
            b = slope(x + h / 2 * a)
            c = slope(x + h / 2 * b)
            x = x + h / 6 * (a + 2 * b + 2 * c + slope(x + h * c))
    centred = np.array(rows) - np.mean(rows, axis=0)
    return centred / np.abs(centred).max(axis=0)


METHOD = method("Lorenz", "full_force_lorenz", lorenz)

if __name__ == "__main__":
    main(METHOD)
