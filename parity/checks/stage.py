"""What a check offers to whoever looks for the cause of its finding: its stage, the batch, and views of that."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from parity.canonical.weights import Weights
from parity.compare.judge import Verdict
from parity.dtypes import Array, Inputs
from parity.inputs.arrays import Sample
from parity.pair.models import PairModels


class Stage(Enum):
    """What of a pair a check is about: a check says it as `STAGE`; one that does not is about another arrangement."""

    TOKENIZER = "tokenizer"
    DATA = "data"
    CONVERSION = "conversion"  # what the builders loaded
    WEIGHTS = "weights"  # that are written and read
    OUTPUTS = "outputs"
    ARRANGEMENT = "arrangement"  # outputs of the same in another form: padded, in another batch, an id at a time
    CALLS = "calls"  # how a model is called
    LOSS = "loss"
    GRADIENTS = "gradients"
    OPTIMIZER = "optimizer"
    PROCESSES = "processes"
    GENERATION = "generation"
    FILES = "files"


class OfLoss(Verdict):
    """A verdict on a loss, of a check that is about another stage."""


@dataclass(frozen=True)
class View:
    """Ids (batch, time), and the mask (batch, time) of the tokens that are compared.

    They are compared in the order of the mask, row by row, or in `order`, indices (tokens,) into that.
    """

    ids: Array
    mask: Array
    order: Array | None = None

    @property
    def places(self) -> tuple[Array, Array]:
        """Rows and columns of these tokens, (tokens,) each, in the order in which they are compared."""
        rows, columns = np.nonzero(self.mask)
        return (rows, columns) if self.order is None else (rows[self.order], columns[self.order])


@dataclass(frozen=True)
class Views:
    """Two views of one example in which the same tokens have to come to the same: a check's `views` gives them.

    What should be hidden from a token is the rows `beside` it, or positions of its own row.
    """

    first: View
    second: View
    beside: bool = False

    def __iter__(self) -> Iterator[View]:
        return iter((self.first, self.second))


def fed(corners: PairModels, example: Any) -> tuple[Weights, Inputs]:
    """The weights and the batch of an example that is a case or a sample, alone or first of a tuple.

    A check of other examples has a `fed` of its own.
    """
    case = example[0] if isinstance(example, tuple) else example
    if isinstance(case, Sample):
        return case.weights, case.inputs
    return case.weights, case.batch(corners.pad).ids
