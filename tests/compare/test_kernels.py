"""The compiled loops against those of NumPy, and when they are loaded."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from parity.compare import divergence as compare
from parity.compare.divergence import divergence, statistics


@pytest.mark.parametrize("dtypes", [("float32", "float32"), ("float64", "float64"), ("float32", "float64")])
@given(data=st.data())
def test_both_arithmetics_find_the_same(dtypes, data):
    shape = data.draw(hnp.array_shapes(max_dims=3, max_side=9), label="shape")
    kind = np.dtype(data.draw(st.sampled_from(["float32", "float16"]), label="values"))
    elements = st.one_of(hnp.from_dtype(kind), st.sampled_from([0.0, -0.0, 1.0, np.inf, -np.inf, np.nan]))
    first, second = (data.draw(hnp.arrays(kind, shape, elements=elements)).astype(dtype) for dtype in dtypes)
    if data.draw(st.booleans(), label="close"):
        second = (first * np.float32(1 - 1e-6)).astype(dtypes[1])
    if data.draw(st.booleans(), label="transposed"):
        second = np.asfortranarray(second)
    limit = data.draw(st.sampled_from([0.0, 1e-40, 0.1, 1e300]), label="limit")
    found = []
    with pytest.MonkeyPatch.context() as patch, np.errstate(over="ignore"):
        patch.setattr(compare, "CHUNK", data.draw(st.sampled_from([1, 5, 64]), label="chunk"))
        for large in (0, sys.maxsize):
            patch.setattr(compare, "LARGE", large)
            found.append((divergence(first, second), statistics(first, second, limit)))
    (divergent, told), (expected, measured) = found

    np.testing.assert_equal(dataclasses.asdict(divergent), dataclasses.asdict(expected))
    assert told == measured


def test_the_compiled_loops_are_loaded_for_large_arrays_only():
    code = (
        "import sys, numpy as np; from parity.compare import divergence as compare; a = np.ones(1000);"
        "compare.divergence(a, a); compare.statistics(a, a); print('numba' in sys.modules);"
        "compare.LARGE = 1000; compare.divergence(a, a); print('numba' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.split() == ["False", "True"]


def test_arrays_that_may_not_be_written_are_not_compiled_for_once_more(monkeypatch):
    monkeypatch.setattr(compare, "LARGE", 0)
    array = np.ones(5, np.float32)
    divergence(array, array)
    compiled = compare._compiled()
    before = len(compiled._edges.signatures)
    array.flags.writeable = False
    divergence(array, np.zeros(5, np.float32))

    assert len(compiled._edges.signatures) == before > 0


@pytest.mark.parametrize(
    "before",
    ["sys.modules['numba'] = None", "from numba.core import caching; caching.CacheImpl._locator_classes = []"],
    ids=["no numba", "nowhere to keep compiled code"],
)
def test_large_arrays_are_compared_all_the_same_with(before):
    code = (
        f"import sys; {before}; import numpy as np; from parity.compare import divergence as compare;"
        "compare.LARGE = 0;"
        "print(compare.divergence(np.ones(3), np.array([1.0, 2.0, 1.0])).max_abs_diff)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.split() == ["1.0"]
