"""Layers, activations and optimizers, defined once: names, axes, formulas. NumPy only."""
