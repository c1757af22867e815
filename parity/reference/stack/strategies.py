"""Hypothesis strategies that draw architectures."""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.reference.stack.config import KINDS, Stack, Step

DEPTH = 3  # layers in a stack, at most
WIDTHS = (5, 200)  # of a stack's layers


def stacks(kinds: Sequence[str] = tuple(KINDS), depth: int = DEPTH) -> SearchStrategy[Stack]:
    """Architectures of up to `depth` layers of any kinds in `KINDS`, shrinking to fewer and plainer ones."""
    width, truth = st.integers(*WIDTHS), st.booleans()
    step = st.builds(Step, st.sampled_from(kinds), width, bias=truth.map(_not), residual=truth)
    return st.builds(Stack, width, st.lists(step, max_size=depth).map(tuple))


def _not(truth: bool) -> bool:
    return not truth
