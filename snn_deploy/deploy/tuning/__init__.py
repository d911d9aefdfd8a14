"""Tuning: the front of accuracy against energy, memory and latency, and one choice from it."""
