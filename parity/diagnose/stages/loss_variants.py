"""Losses with a fault in them: what a side may do otherwise, from the logits that it has.

Every form is a function of `Given`: it takes a side's own logits, which the check of outputs has judged, and gives what
its loss would be with the fault. `reductions` are other means of right losses, `tokens` other losses of each target,
with whatever reduction they are wanted in, `smoothings` other ways to smooth labels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from parity.checks.loss import formula
from parity.diagnose.search import Candidate, Probe, constants, differing
from parity.dtypes import Array

MEAN = "take the mean over the targets that are not padding: ignore_index= of torch, ignore_class= of Keras"
LOGITS = "give logits: cross_entropy of torch, from_logits=True of Keras"
SMOOTH = "smooth on both sides by the same amount, or not"
SMALL = tuple(10.0 ** np.arange(-16, 0))
# What people and libraries add to a probability, or cut it off at; others are solved for.
KNOWN = (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)


@dataclass(frozen=True, eq=False)
class Given:
    """Logits (batch, time, vocab), ids and targets (batch, time): all that a loss is made of.

    `before` is how many targets counted in the batch whose loss was asked for before.
    """

    logits: Array
    ids: Array
    targets: Array
    pad: int
    before: int = 1

    @property
    def counted(self) -> Array:
        """Which targets the loss counts, (batch, time) bool: all but padding."""
        mask: Array = self.targets != self.pad
        return mask

    def losses(self, smoothing: float = 0.0) -> Array:
        """Cross entropy in nats of every target, (batch, time), padding too; labels smoothed by this amount."""
        flat = self.logits.reshape(-1, self.logits.shape[-1])
        return formula(flat, self.targets.ravel(), smoothing).reshape(self.targets.shape)

    def chosen(self) -> Array:
        """The logits of the targets."""
        logits: Array = np.take_along_axis(self.logits, self.targets[..., None], -1)[..., 0]
        return logits

    def chances(self) -> Array:
        """The softmax of the logits, (batch, time, vocab)."""
        raised = np.exp(self.logits - self.logits.max(-1, keepdims=True))
        chances: Array = raised / raised.sum(-1, keepdims=True)
        return chances


Words = tuple[str, str, str]  # a cause's name, what a side that has it does, what to change
Form = tuple[Words, Callable[[Given], Array]]


def over(losses: Array, mask: Array, count: float | None = None) -> Array:
    """The sum of what the mask holds, over a count or their number; NaN over none, as both frameworks have it."""
    with np.errstate(all="ignore"):
        return np.array(np.float64((losses * mask).sum()) / np.float64(mask.sum() if count is None else count))


def reductions(probes: Sequence[Probe]) -> Iterator[Form]:
    """Other means of the right losses."""

    def reduction(description: str, divisor: Callable[[Given], float]) -> Form:
        return ("reduction", description, MEAN), lambda one: over(one.losses(), one.counted, divisor(one))

    yield reduction("sums the losses", lambda one: 1)
    yield reduction("divides the sum of the losses by the number of rows", lambda one: len(one.ids))
    yield reduction("divides the sum of the losses by the length of a row", lambda one: one.ids.shape[1])
    yield reduction("divides the sum of the losses by all positions, padding too", lambda one: one.ids.size)
    yield reduction("divides the sum of the losses by the count of the batch before", lambda one: one.before)
    yield ("reduction", "takes the mean of the rows' means", MEAN), _by_rows
    whole = "averages over all positions, padding too"
    yield ("padding counted", whole, MEAN), lambda one: over(one.losses(), np.ones_like(one.counted))
    length = "counts every row up to its last target, whatever is left out before it"
    yield (
        ("padding counted", length, MEAN),
        lambda one: over(one.losses(), np.cumsum(one.counted[:, ::-1], 1)[:, ::-1] > 0),
    )
    inputs = "leaves out the places where the input is padding, not those where the target is"
    mask = "mask of the inputs"
    yield (mask, inputs, MEAN), lambda one: over(one.losses(), one.ids != one.pad)
    both = "also leaves out the places where the input is the pad id"
    yield (mask, both, MEAN), lambda one: over(one.losses(), one.counted & (one.ids != one.pad))
    base = "scale", "has the loss in bits, not in nats", "use the natural logarithm"
    yield base, lambda one: over(one.losses(), one.counted) / np.log(2)
    # Last, since a factor explains any one number: it has to hold for all of them.
    if (worst := differing(probes)) and worst.clean:
        factor = float(worst.found / worst.clean)
        description = "scale", f"multiplies the loss by {factor:.9g}", "take the factor out"
        yield description, lambda one: factor * over(one.losses(), one.counted)


def _by_rows(one: Given) -> Array:
    """The mean over rows of each row's mean loss; rows without a target are skipped."""
    sums, counts = (one.losses() * one.counted).sum(1), one.counted.sum(1)
    return np.array((sums[counts > 0] / counts[counts > 0]).mean())


# (what a loss is of, losses (batch, time), which of them count (batch, time)) -> what is compared: a mean, or each.
Reduce = Callable[[Given, Array, Array], Array]


def tokens(probes: Sequence[Probe], of: Sequence[Given], reduce: Reduce) -> Iterator[Form]:
    """Other losses of single tokens, and the right reduction of them."""

    def form(description: Words, losses: Callable[[Given], Array]) -> Form:
        return description, lambda one: reduce(one, losses(one), one.counted)

    twice = "takes a softmax twice: probabilities go in as logits"
    yield form(("from_logits", twice, LOGITS), lambda one: replace(one, logits=one.chances()).losses())
    yield form(("from_logits", "takes logits for probabilities", LOGITS), lambda one: _clipped(one.logits, one, True))
    yield form(("from_logits", "takes logits for log-probabilities", LOGITS), lambda one: -one.chosen())
    clipped = "clipped probabilities"
    for whole in (True, False):
        words = clipped, "clips probabilities to 1e-7 and 1 - 1e-7", LOGITS
        yield form(words, partial(_chances_clipped, whole))
    for name, text, fix, losses, grid, known in (
        (clipped, "takes probabilities of {:.4g} at least", LOGITS, _least, SMALL, KNOWN),
        (clipped, "takes the logarithm of the probability plus {:.4g}", LOGITS, _added, SMALL, KNOWN),
        ("label smoothing", "smooths labels by {:.4g}", SMOOTH, Given.losses, (*SMALL, 1.0), ()),
    ):

        def value(one: Given, amount: float, losses: Callable[[Given, float], Array] = losses) -> Array:
            return reduce(one, losses(one, amount), one.counted)

        for amount in _amounts(probes, of, value, grid, known):
            yield (name, text.format(amount), fix), partial(value, amount=amount)
    yield from _shifts(reduce)


def _chances_clipped(whole: bool, one: Given) -> Array:
    """The losses of clipped probabilities; `whole` as in `_clipped`."""
    return _clipped(one.chances(), one, whole)


def _shifts(reduce: Reduce) -> Iterator[Form]:
    """Targets of other positions."""

    def form(description: str, losses: Callable[[Given], Given], nothing: float = np.nan) -> Form:
        def value(one: Given) -> Array:
            moved = losses(one)
            if not moved.counted.any():  # 0 or NaN, as one guards against it or does not
                return np.array(nothing)
            return reduce(one, moved.losses(), moved.counted)

        return ("target shift", description, "shift inputs and targets by one against each other, once"), value

    def moved(one: Given, logits: slice, targets: slice) -> Given:
        return Given(one.logits[:, logits], one.ids[:, logits], one.targets[:, targets], one.pad)

    for nothing in (np.nan, 0.0):
        description = "shifts by one more: the loss is that of the next target"
        yield form(description, lambda one: moved(one, _FIRST, _LAST), nothing)
    around = "shifts by one more, the first target last"
    yield form(around, lambda one: Given(one.logits, one.ids, np.roll(one.targets, -1, 1), one.pad))
    yield form("shifts by one less: each target is its input", lambda one: Given(one.logits, one.ids, one.ids, one.pad))
    yield form("shifts backward: the loss is that of the target before", lambda one: moved(one, _LAST, _FIRST))


_FIRST, _LAST = slice(None, -1), slice(1, None)


def smoothings(probes: Sequence[Probe], of: Sequence[Given], asked: Sequence[float]) -> Iterator[Candidate[Array]]:
    """Other ways to smooth labels, of which `asked` is how much."""
    fix = "give each class, the pad class and the target among them, smoothing / classes"

    def form(description: str, losses: Callable[[Given, float], Array]) -> Candidate[Array]:
        values = [losses(one, s) * one.counted for one, s in zip(of, asked, strict=True)]
        return Candidate("label smoothing", description, fix, values)

    yield form("does not smooth labels", lambda one, _: one.losses())
    others = "spreads the smoothing over the classes but the target"
    yield form(others, lambda one, s: one.losses(s * one.logits.shape[-1] / (one.logits.shape[-1] - 1)))
    yield form("leaves the pad class out of the smoothing", lambda one, s: _without(one, s))
    for amount in _amounts(probes, of, lambda one, x: one.losses(x) * one.counted, (*SMALL, 1.0)):
        yield form(f"smooths labels by {amount:.4g}, whatever is asked for", partial(_smoothed, amount, 0.0))
    for share in _shares(probes, of, asked):
        yield form(f"smooths labels by {share:.6g} times the amount", partial(_smoothed, 0.0, share))


def _smoothed(amount: float, share: float, one: Given, asked: float) -> Array:
    """Losses with labels smoothed by an amount, and a share of what is asked for."""
    return one.losses(amount + share * asked)


def _shares(probes: Sequence[Probe], of: Sequence[Given], asked: Sequence[float]) -> list[float]:
    """How many times as much the worst probe's losses are smoothed as asked for."""
    worst = differing(probes)
    if worst is None:
        return []
    amount = asked[probes.index(worst)]
    return [x / amount for x in _amounts(probes, of, lambda one, x: one.losses(x) * one.counted, (*SMALL, 1.0))]


def _without(one: Given, smoothing: float) -> Array:
    """Losses (batch, time) of which the smoothing goes to the classes that are not padding, each as much.

    The cross entropy against q is log(sum(exp(z))) - sum(q z): q is 1 - s of the target, and s over the other classes.
    """
    others = (one.logits.sum(-1) - one.logits[..., one.pad]) / (one.logits.shape[-1] - 1)
    total = one.losses() + one.chosen()  # log(sum(exp(z)))
    losses: Array = total - (1 - smoothing) * one.chosen() - smoothing * others
    return losses


def _clipped(chances: Array, one: Given, whole: bool) -> Array:
    """-log(p) of clipped p, as Keras with from_logits=False; over their sum, as it does for ids as targets."""
    logs = np.log(np.clip(chances, 1e-7, 1 - 1e-7))
    clipped = replace(one, logits=logs)
    return clipped.losses() if whole else -clipped.chosen()


def _added(one: Given, amount: float) -> Array:
    """-log(p + amount) of each target's probability p."""
    with np.errstate(divide="ignore"):
        losses: Array = -np.log(np.exp(-one.losses()) + amount)
    return losses


def _least(one: Given, least: float) -> Array:
    """-log(max(p, least)) of each target's probability p."""
    with np.errstate(divide="ignore"):
        losses: Array = np.minimum(one.losses(), -np.log(least))
    return losses


def _amounts(
    probes: Sequence[Probe],
    of: Sequence[Given],
    value: Callable[[Given, float], Array],
    grid: Sequence[float],
    known: Sequence[float] = (),
) -> list[float]:
    """The known amounts, and those with which `value` gives what the worst probe shows at its worst element.

    `grid` ascends, and a root is looked for between its neighbours.
    """
    worst = differing(probes)
    if worst is None:
        return []
    one = of[probes.index(worst)]
    at = np.unravel_index(int(np.argmax(np.abs(worst.found - worst.clean))), worst.found.shape)
    if not np.isfinite(worst.before) or value(one, 0.0).shape != worst.found.shape:
        return [*known]
    return [*known, *constants(lambda x: float(value(one, x)[at] - worst.found[at]), grid)]
