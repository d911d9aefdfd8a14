"""The compiled functions of layers."""
