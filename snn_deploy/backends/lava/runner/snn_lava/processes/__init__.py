"""Lava processes of our own. Lava executes every file here again when it looks for models."""
