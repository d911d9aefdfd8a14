"""Readers of trained models: each framework and file format in its own file."""
