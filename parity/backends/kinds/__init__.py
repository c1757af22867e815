"""The layer kinds of each framework: which of a layer's variables is which canonical parameter."""
