"""Reports made by hand, as data: what a page or a summary has to show, without a framework."""

import numpy as np

from parity.checks.results import (
    ASIDE,
    Cause,
    Diagnosis,
    DifferingOperation,
    Finding,
    KnownDivergence,
    Layer,
    Outcome,
    Report,
)
from parity.compare.judge import Curve, judge, judge_exact
from parity.compare.square import PrecisionSquare

HOSTILE = "<script>alert('&amp;')</script>"
VERSIONS = {"parity": "0.1.0", "torch": "2.13.0+cpu", "tensorflow": "2.21.0"}
COMMAND = "parity check acme.models:pair --seed 0 --examples 25"


def square(gap, noise=3e-8, size=12):
    """Four runs of which the float64 ones are `gap` apart."""
    exact64 = np.random.default_rng(0).normal(size=size)
    wrong64 = exact64.copy()
    wrong64[3] += gap
    runs = [(run + noise * sign).astype(np.float32) for run, sign in ((exact64, 1), (wrong64, -1))]
    return PrecisionSquare.of([*runs, exact64, wrong64])


def outcome(name, verdict, claim="The claim.", **given):
    found = Outcome(name, claim, examples=25, **given)
    found.see(verdict)
    return found


def finding(verdict, text="", **given):
    return Finding(f"forward{text}", verdict.message + text, f"Case(rows=((4, 4),)){text}", COMMAND + text, **given)


def layers(count=3, text=""):
    """A model of so many layers, the last of which introduces a difference."""
    inner = [Layer(f"blocks.{place}{text}", "dense", 1, 1, "clean", 1e-15, 8e-16, 2e-11) for place in range(count - 1)]
    last = Layer(f"norm{text}", "layer_norm", 1, 2, "introduces", 8.2e-4, 8.2e-4, 2.6e-11)
    return (Layer("", "LanguageModel", 0, 1, "inherits", 8.2e-4), *inner, last)


def diagnosis(count=3, text=""):
    told = "torch epsilon 1e-05, tensorflow epsilon 0.001"
    cause = Cause("epsilon", f"norm{text}", told + text, f"epsilon=1e-05 in norm{text}", 8.2e-4, 8.9e-16)
    ours = DifferingOperation(
        "torch", f"layer_norm(eps=1e-05{text})", f"norm{text}", f"m{text}.py", 7, f"norm(x){text}"
    )
    operations = ours, DifferingOperation("tensorflow", f"Mean(keep_dims=True){text}", f"norm{text}")
    ruled_out = (f"a missing bias{text}",)
    return Diagnosis((f"norm{text}",), (cause,), ruled_out, layers(count, text), operations=operations)


def curve(steps=3, text=""):
    falling = tuple(6.9 - 0.1 * step for step in range(steps))
    apart = tuple(loss + 1e-15 for loss in falling)
    losses = {"torch32": falling, "tensorflow32": tuple(loss + 2e-7 for loss in falling)}
    return Curve(f"losses before {steps} steps of adam{text}", {**losses, "torch64": falling, "tensorflow64": apart})


def report(checks, pair="acme-lm", text="", **given):
    tokenizer = {"sha256": "c78272" * 8, "pieces": 1000}
    return Report(pair + text, 0, 25, VERSIONS, tokenizer, checks, command=COMMAND + text, **given)


def passing():
    """A report that holds, with something of everything that a passing check can have."""
    link = "https://github.com/pytorch/pytorch"
    known = [KnownDivergence("torch", "clipping", "torch's clipping adds 1e-6", link, "2026-11-24", 0.5, 0.25, True)]
    trained = outcome("training", judge("change of head.bias", square(1e-16)), known=known)
    trained.curve = curve()
    same = judge_exact("head.kernel", np.arange(6), np.arange(6), ("drawn", "torch"))
    return report([outcome("weights", same), outcome("forward", judge("logits", square(2e-16))), trained])


def failing(text="", count=3, steps=3, length=0):
    """A report that does not hold, with `text` in every place that may be a user's, and `length` more of it."""
    much = text + "x" * length
    wrong = judge(f"logits{text}", square(1e-4))
    forward = outcome("forward", wrong, f"The claim.{text}")
    forward.findings.append(
        finding(wrong, much, why=("introduced by norm", ASIDE, much), diagnosis=diagnosis(count, text))
    )
    unequal = judge_exact(f"ids{text}", np.arange(6), np.array([0, 1, 2, 9, 4, 5]), (f"drawn{text}", "torch"))
    weights = outcome("weights", unequal)
    weights.findings.append(finding(unequal, much))
    nothing = Outcome("loss", "The claim.", 25)
    nothing.findings.append(Finding("loss", "loss: compared nothing", "none", COMMAND))
    trained = outcome("training", judge("change of head.bias", square(1e-16)))
    trained.curve = curve(steps, text)
    return report([forward, weights, nothing, trained], text=text)


def located(text=""):
    """What `parity locate` writes."""
    introduced = {"path": f"norm{text}", "place": "output", "verdict": "different", "difference": 8.2e-4}
    found = report([outcome("forward", judge("logits", square(1e-4)))])
    found.checks[0].findings.append(finding(found.checks[0].worst, diagnosis=diagnosis(text=text)))
    told = found.document()["checks"][0]["findings"][0]["diagnosis"]
    return {
        "schema": 1,
        "holds": False,
        "pair": f"acme-lm{text}",
        "weights": "seed 0",
        "inputs": f"(4, 9){text}",
        "environment": VERSIONS,
        "command": f"parity locate acme.models:pair --seed 0{text}",
        "layers": told["layers"],
        "introduces": [{**introduced, "unlike": "", "message": f"norm: output is different{text}"}],
        "causes": told["causes"],
        "ruled_out": told["ruled_out"],
        "weaker": f"tensorflow cannot run in float64{text}",
        "unlinked": {"torch": [f"extra{text}"], "tensorflow": []},
        "operations": told["operations"],
        "side_by_side": [{"torch": f"mul(){text}", "tensorflow": "", "layer": f"norm{text}", "differs": True}],
    }


def gated(text=""):
    """What `parity gate` writes."""
    run = failing(text).document()
    moved = {"cause": "moved", "what": f"loss{text}", "expected": f"1{text}", "found": f"2{text}"}
    gone = {"cause": "improved", "what": "check forward", "expected": "different", "found": "rounding"}
    bless = "parity bless acme.models:pair"
    history = [{"date": "2026-11-20", "reason": "", "accepted": []}]
    history.append({"date": "2026-11-24", "reason": f"a slower loss{text}", "accepted": [f"moved: loss{text}"]})
    pair = {
        "pair": f"acme.models:pair{text}",
        "holds": False,
        "differences": [moved | {"accept": f"{bless} --reason TEXT{text}"}, gone | {"accept": bless}],
        "versions": {"torch": ["2.12.0", f"2.13.0{text}"]},
        "history": history,
        "report": run,
    }
    held = pair | {"pair": "lstm", "holds": True, "differences": [], "versions": {}, "report": passing().document()}
    return {"schema": 1, "holds": False, "pairs": [pair, held]}


def tried(text=""):
    """What `parity selftest` writes."""
    expected = {"check": "forward", "where": "norm", "cause": "epsilon"}
    found = {"check": "forward", "where": ["norm"], "cause": "epsilon"}
    missed = {"check": "", "where": [], "cause": ""}
    fault = {"family": "layers", "pair": "lstm", "expected": expected, "people": ["atol=1e-4"], "told": ""}
    return {
        "schema": 1,
        "holds": False,
        "versions": VERSIONS,
        "families": {"layers": {"faults": 2, "detected": 1, "check": 1, "place": 1, "cause": 1}},
        "benign": {"twins": 1, "clean": 2, "flagged": 1},
        "people": {"atol=1e-4": {"detected": 2, "flagged": 0}},
        "faults": [
            fault | {"name": "another epsilon", "found": found},
            fault | {"name": f"a bias{text}", "found": missed, "told": f"no check fails{text}"},
        ],
        "benigns": [
            {"name": f"renamed{text}", "pair": "lstm", "check": "forward", "people": [], "told": text},
            {"name": "clean, before", "pair": "lstm", "check": "", "people": [], "told": ""},
        ],
    }
