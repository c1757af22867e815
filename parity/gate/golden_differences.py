"""Golden values and float32's noise, accepted and found: what moved, and what of it is kept.

The only judges are the square's: its floor, and `GROWTH`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from parity.compare.divergence import divergence
from parity.compare.judge import GROWTH, judge_difference
from parity.compare.messages import dims
from parity.dtypes import Array
from parity.gate.baseline import Baseline

FEW = 16  # numbers that a person reads

# cause -> what it means.
CAUSES = {
    "error": "a check, or what golden values are computed by, ended in an error",
    "fails": "a check that did not fail fails",
    "vanished": "something that was checked no longer is",
    "moved": "a golden value is another",
    "tokenizer": "a text has other ids",
    "noise": "float32 loses more than it did",
    "weaker": "a verdict has float64 on one side only, and is less sensitive",
    "gone": "a known divergence no longer occurs",
    "improved": "something is better than in the baseline",
    "new": "something is checked that was not",
    "missing": "there is no baseline yet",
}


@dataclass(frozen=True)
class Difference:
    """One difference: a name of `CAUSES`, what differs, what was blessed of it and what was found.

    `loosens` says whether whoever accepts it has to give a reason, and `detail` is for a person to read.
    """

    cause: str
    what: str
    expected: str
    found: str
    loosens: bool = field(default=True, kw_only=True)
    detail: str = field(default="", kw_only=True)

    @property
    def text(self) -> str:
        """All of it on one line."""
        return f"{self.cause}: {self.what}: expected {self.expected}, found {self.found}"


def golden(expected: Baseline, measured: Baseline) -> Iterator[Difference]:
    """What golden values moved, came or went: a line for each, one for both sides, by what the first shows.

    Inputs that do not fit the models any more leave nothing to compare, and are the only line.
    """
    if measured.misfit:
        yield Difference(
            "vanished", "golden inputs", "those of the baseline", f"that they do not fit: {measured.misfit}"
        )
        return
    for name in _names(expected, measured, "golden"):
        if name not in measured.arrays:
            yield Difference("vanished", f"golden {name}", _shape(expected.arrays[name]), "none")
        elif name not in expected.arrays:
            yield Difference("new", f"golden {name}", "none", _shape(measured.arrays[name]), loosens=False)
    moved = {name: change for name in expected.document["golden"] if (change := _moved(expected, measured, name))}
    sides: dict[str, list[str]] = {}
    for name in moved:
        side, _, what = name.partition(" ")
        sides.setdefault(what, []).append(side)
    for what, of in sides.items():
        who = "both sides" if len(of) > 1 else f"{of[0]} alone"
        yield Difference("moved", f"golden {what} of {who}", *moved[f"{of[0]} {what}"])


def _names(expected: Baseline, measured: Baseline, key: str) -> list[str]:
    """The names below a key of either document, each once, the baseline's first."""
    return list(dict.fromkeys((*expected.document[key], *measured.document[key])))


def _shape(array: Array) -> str:
    return f"{array.dtype} {dims(array.shape)}"


def _moved(expected: Baseline, measured: Baseline, name: str) -> tuple[str, str] | None:
    """What a value was and is, where they are furthest apart; None if that is rounding error, or one is gone.

    Of a value with labels only the labels that both have are compared.
    """
    if name not in measured.arrays:
        return None
    labels, now = (of.document["golden"][name]["labels"] for of in (expected, measured))
    common = [label for label in labels if label in now]
    old, new = expected.arrays[name], measured.arrays[name]
    if labels != now:  # what is missing is told of as a layer
        old, new = old[[labels.index(label) for label in common]], new[[now.index(label) for label in common]]
    if old.shape != new.shape or old.dtype != new.dtype:
        return _shape(old), _shape(new)
    if old.dtype.kind != "f":
        return None if np.array_equal(old, new) else (_few(old), _few(new))
    figures, gap = expected.document["golden"][name], divergence(old, new)
    # By the scale and the noise of the baseline: a run that has become noisy may not excuse itself by that.
    word, limit = judge_difference(gap, (float(figures["noise"]),) * 2, float(figures["scale"]))
    if word != "different":
        return None
    where = f" in {common[gap.index[0]]}" if common else f" at {gap.index[0]}" if gap.index else ""
    return (
        f"{gap.first!r}{where}",
        f"{gap.second!r}, changed by {gap.max_abs_diff:.1e} (limit {limit:.1e})",
    )


def _few(array: Array) -> str:
    return f"{array.reshape(-1)[:FEW].tolist()}{' and more' if array.size > FEW else ''}"


def noise(expected: Baseline, measured: Baseline) -> Iterator[Difference]:
    """What float32 loses, by its middle over several weights, beside the range of what was recorded."""
    for name in _names(expected, measured, "noise"):
        old, new = (run.document["noise"].get(name) for run in (expected, measured))
        subject = f"float32 noise of {name}"
        if old is None or new is None:
            descriptions = [f"{of[0]:.3g} to {of[-1]:.3g}" if of else "none" for of in (old, new)]
            yield Difference("new" if new else "vanished", subject, *descriptions, loosens=new is None)
        elif cause := _drifted(old, new):
            low, high, middle = (float(figure) for figure in (old[0], old[-1], new[1]))
            descriptions = [f"{low:.3g} to {high:.3g} times rounding", f"{middle:.3g}"]
            yield Difference(cause, subject, *descriptions, loosens=cause == "noise")


def _drifted(old: list[float], new: list[float]) -> str:
    """The cause, if the noise left its range, else empty: "noise" above it, "improved" below, by more than `GROWTH`.

    Figures are least, middle and most. To lose no more than a rounding is not to lose: they count as 1 at least.
    """
    low, high, middle = (max(1.0, float(figure)) for figure in (old[0], old[-1], new[1]))
    return "noise" if middle > GROWTH * high else "improved" if middle * GROWTH < low else ""


def kept(expected: Baseline, measured: Baseline) -> Baseline:
    """The baseline to be written where one is blessed over another: what was measured, with the golden values and
    ranges of what was blessed wherever they still hold.

    So what moves less than a run can see does not move on from one blessing to the next.
    """
    if measured.misfit:
        return measured
    old, new = expected.document, measured.document
    stay = [
        name
        for name, figures in old["golden"].items()
        if name in new["golden"]
        and figures["labels"] == new["golden"][name]["labels"]
        and not _moved(expected, measured, name)
    ]
    noises = {name: (of["noise"][name] for of in (old, new)) for name in old["noise"] if name in new["noise"]}
    steady = [name for name, both in noises.items() if not _drifted(*both)]
    document = {
        **new,
        "golden": new["golden"] | {name: old["golden"][name] for name in stay},
        "noise": new["noise"] | {name: old["noise"][name] for name in steady},
    }
    return replace(measured, document=document, arrays={**measured.arrays, **{n: expected.arrays[n] for n in stay}})
