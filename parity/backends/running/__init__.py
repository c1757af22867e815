"""How each framework runs a function of tensors: at its cheapest, unless the function needs more."""
