"""From a trained spiking neural network to a neuromorphic chip, bit for bit."""
