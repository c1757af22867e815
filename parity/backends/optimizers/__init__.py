"""The optimizers that a framework does not bring as its twin does, one file a framework."""
