"""Runs an integer program of snn-deploy in Lava. Needs Python 3.10, numpy and lava-nc 0.10.0."""
