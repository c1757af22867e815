"""Two samples of what is drawn at random: are their means further apart than chance explains?

Nothing is assumed of how a value is distributed, only that it lies between 0 and 1 and that draws do not depend on one
another: the bound is Maurer and Pontil's (2009, theorem 4), an empirical Bernstein inequality,

    |mean - expectation| <= sqrt(2 * variance * ln(4 / p) / n) + 7 * ln(4 / p) / (3 * (n - 1))

with probability 1 - p. All comparisons of one call together exceed theirs with a probability of `ALARM` at most.
"""

import math

import numpy as np

from parity.dtypes import Array

# The probability that one run calls equal models different for what they draw.
ALARM = 1e-9


def apart(first: Array, second: Array, comparisons: int) -> tuple[float, float]:
    """Compare the means of two samples (draws,) of values in [0, 1]: how far they are apart, and how far chance takes
    them at most.

    `comparisons` is how many such are made in one run. A sample needs two draws at least, for its variance.
    """
    # Bonferroni: of several comparisons each may err that many times less often. Two samples, each with its own bound.
    allowed = ALARM / (2 * comparisons)
    return float(abs(first.mean() - second.mean())), sum(_reach(sample, allowed) for sample in (first, second))


def _reach(sample: Array, probability: float) -> float:
    """How far a sample's mean is from its expectation at most, but for this probability."""
    weight, count = math.log(4 / probability), len(sample)
    # The theorem has ln(2 / p) for one side of the mean; ln(4 / p) bounds both.
    return float(np.sqrt(2 * sample.var(ddof=1) * weight / count) + 7 * weight / (3 * (count - 1)))
