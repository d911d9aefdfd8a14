"""One step of the neurons outside the canonical family, in plain numpy, for our own process."""

import numpy as np

from snn_lava.step import Register, scaled


class Word:
    """The register of states that the chip's arithmetic has none for."""

    bits = 32
    overflow = "wrap"


class OtherNeurons:
    """The registers of a population of another kind, and what every kind of step needs.

    Args:
        population: From `files.flat_population`.
        arithmetic: Of the program.
        period: Steps of the program per step of the network.
        size: Number of neurons.
    """

    states = ()
    """All of them, `payload` apart."""

    def __init__(self, population, arithmetic, period, size):
        self.population = population
        self.kind = population.kind
        self.arithmetic = arithmetic
        self.period = period
        self.size = size
        self.current = Register(arithmetic.current)
        self.membrane = Register(arithmetic.membrane)
        self.word = Register(Word)
        wide = arithmetic.accumulator
        self.accumulator = None if wide is None else Register(wide)
        self.start()

    def start(self):
        """Return to the state before the first step."""
        self.values = {state: self._full(0) for state in (*self.states, "payload")}
        for state, initial in self.initial().items():
            self.values[state] = self._full(initial)
        self.overflows = 0

    def initial(self):
        """Return {state: value} before the first step, where it is not 0."""
        return {}

    def _full(self, value):
        return np.array(np.broadcast_to(value, self.size), np.int64)

    def advance(self, arrived, step):
        """Compute step `step` of the sample; see `step.Neurons.advance`."""
        self.overflows = 0
        self.values["payload"] = self._full(0)
        lag = self.population.lag
        if step >= lag and (step - lag) % self.period == 0:
            self.step(arrived)

    def step(self, arrived):
        """Compute the step."""
        raise NotImplementedError

    def held(self, value, register):
        """Return what a register keeps of `value`, and count what it does not."""
        kept, overflows = register.keep(np.broadcast_to(value, self.size))
        self.overflows += overflows
        return kept

    def arriving(self, arrived, state):
        """Return what arrives at a state, after the accumulator."""
        total = arrived.get(state, np.int64(0))
        return total if self.accumulator is None else self.held(total, self.accumulator)


class Adaptive(OtherNeurons):
    """Lava's ATRLIF."""

    states = ("current", "membrane", "threshold", "refraction")

    def initial(self):
        """Return the states before the first step."""
        kind = self.kind
        return {
            "current": kind.initial_current,
            "membrane": kind.initial_membrane,
            "threshold": kind.base,
            "refraction": kind.initial_refraction,
        }

    def step(self, arrived):
        """Decay, integrate, compare, and raise what a spike raises."""
        kind, values, bits = self.kind, self.values, self.arithmetic.decay_bits
        i = scaled(values["current"], kind.current_decay, bits) + self.arriving(arrived, "current")
        i = self.held(i, self.current)
        v = scaled(values["membrane"], kind.decay, bits) + i + kind.bias
        v = self.held(v, self.membrane)
        theta = scaled(values["threshold"] - kind.base, kind.threshold_decay, bits) + kind.base
        theta = self.held(theta, self.word)
        r = self.held(scaled(values["refraction"], kind.refraction_decay, bits), self.word)
        fired = v - r >= theta
        r = self.held(np.where(fired, r + 2 * theta, r), self.word)
        theta = self.held(np.where(fired, theta + kind.increase, theta), self.word)
        values.update(current=i, membrane=v, threshold=theta, refraction=r)
        values["payload"] = fired.astype(np.int64)


class Resonator(OtherNeurons):
    """Lava's RF and RF_IZ."""

    states = ("membrane", "imaginary")

    def initial(self):
        """Return the states before the first step."""
        return {"membrane": self.kind.initial_real, "imaginary": self.kind.initial_imaginary}

    def step(self, arrived):
        """Turn, integrate, fire."""
        kind, values, bits = self.kind, self.values, self.kind.decay_bits
        old_re, old_im = values["membrane"], values["imaginary"]
        re = scaled(old_re, kind.cosine, bits) - scaled(old_im, kind.sine, bits)
        im = scaled(old_re, kind.sine, bits) + scaled(old_im, kind.cosine, bits)
        re = self.held(re + self.arriving(arrived, "membrane"), self.membrane)
        im = self.held(im + self.arriving(arrived, "imaginary"), self.membrane)
        if kind.fires_at == "crossing":
            fired = (re >= kind.threshold) & (im >= 0) & (old_im < 0)
        else:
            fired = im >= kind.threshold
            re = np.where(fired, 0, re)
            im = np.where(fired, kind.threshold - 1, im)
        values.update(membrane=re, imaginary=im, payload=fired.astype(np.int64))


class Sigma(OtherNeurons):
    """Lava's Sigma."""

    states = ("sigma",)

    def initial(self):
        """Return the states before the first step."""
        return {"sigma": self.kind.initial_sigma}

    def step(self, arrived):
        """Add up, and send the sum."""
        total = self.held(self.values["sigma"] + self.arriving(arrived, "sigma"), self.word)
        self.values.update(sigma=total, payload=total)


class Delta(OtherNeurons):
    """Lava's Delta."""

    states = ("activation", "residue", "error")

    def step(self, arrived):
        """Send how far the input moved."""
        self.encode(self.held(self.arriving(arrived, "activation"), self.word))

    def encode(self, x):
        """Send the change of `x` once it is large enough."""
        kind, values = self.kind, self.values
        change = self.held(x - values["activation"] + values["residue"], self.word)
        measure = change
        if kind.cumulative:
            measure = self.held(values["error"] + change, self.word)
        out = np.where(np.abs(measure) >= kind.threshold, change, 0)
        if kind.cumulative:
            values["error"] = np.where(out != 0, 0, measure)
        values.update(activation=x, residue=change - out, payload=out >> kind.payload_shift)


class SigmaDelta(Delta):
    """Lava's SigmaDelta."""

    states = ("sigma", *Delta.states)
    initial = Sigma.initial

    def step(self, arrived):
        """Add up, activate, and send the change."""
        total = self.held(self.values["sigma"] + self.arriving(arrived, "sigma"), self.word)
        self.values["sigma"] = total
        x = self.held(total + self.kind.bias, self.word)
        self.encode(np.maximum(x, 0) if self.kind.activation == "relu" else x)


KINDS = {
    "adaptive": Adaptive,
    "resonator": Resonator,
    "sigma": Sigma,
    "delta": Delta,
    "sigma-delta": SigmaDelta,
}
