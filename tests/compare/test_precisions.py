"""square.judge in the lower precisions: each by its own unit."""

import numpy as np
import pytest

from parity.compare.judge import MAX_NOISE_RATIO, judge
from parity.compare.square import PrecisionSquare
from parity.dtypes import EPS, transport_dtype

BASE = (np.arange(12).reshape(3, 4) - 3) / 8
EQUAL = {dtype: (BASE.astype(dtype), BASE.astype(dtype)) for dtype in ("float64", "float32")}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_lower_precision_is_judged_by_its_own_unit(dtype, factor):
    low = BASE.astype(transport_dtype(dtype))
    off = low.copy()
    off[1, 2] += factor * MAX_NOISE_RATIO[dtype] * EPS[dtype]
    verdict = judge("logits", PrecisionSquare({**EQUAL, dtype: (low, off)}))
    rows = {row.dtype: row for row in verdict.rows}

    assert rows[dtype].word == verdict.word == ("rounding" if factor < 1 else "unstable")
    assert rows[dtype].errors[1] == pytest.approx(factor * MAX_NOISE_RATIO[dtype] * EPS[dtype], rel=1e-2)
    assert rows["float32"].word == rows["float64"].word == "identical"


def test_message_of_a_lower_precision():
    low = BASE.astype("float32")
    off = low.copy()
    off[1, 2] += 4
    verdict = judge("logits", PrecisionSquare({**EQUAL, "bfloat16": (low, off)}))

    assert verdict.message == (
        "logits (3, 4): tensorflow is unstable\n"
        "  its own bfloat16 error is 512 times the other side's, but should be at most 64 times\n"
        "  the two sides mean the same in float64; this formula loses precision in bfloat16\n"
        "  greatest difference at (1, 2): bfloat16 4.375, float64 0.375\n"
        "    torch-bfloat16 --- 4.0e+00 --- tensorflow-bfloat16\n"
        "       | 0.0e+00                      | 4.0e+00\n"
        "    torch64        --- 0.0e+00 --- tensorflow64"
    )
