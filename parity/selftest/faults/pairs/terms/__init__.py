"""More steps of a model: terms, masks, orders of operations, sums over what is no padding."""
