"""Commands, Python API, artifact, verification, energy, report."""
