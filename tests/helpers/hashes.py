"""What goes by the hashes of strings, for processes that import no framework."""

import numpy as np

NAMES = ("age", "income", "balance", "tenure", "visits", "region", "score")


def in_order_of_a_set():
    """The names' places in the order of a set of them."""
    return {"places": np.array([NAMES.index(name) for name in set(NAMES)])}


def in_order():
    return {"places": np.arange(len(NAMES))}
