"""Two baselines, what was blessed and what a run found, -> how they differ. No tolerance stands here.

What a check draws follows from the seed and from Hypothesis: only where those are the same must it
compare as much. What its figures come to is not compared: golden values are, which do not hang on draws.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from parity.checks.results.outcome import short
from parity.compare.messages import dims
from parity.compare.verdict import FAILING, ORDER
from parity.errors import ParityError
from parity.gate import documents
from parity.gate.baseline import AGAIN, NEW, Baseline, read, write
from parity.gate.golden_differences import Difference, golden, noise

ERROR = 3  # the exit status where a check ended in an error: what was blessed of it is not known to hold
# What a check's examples are drawn by, besides the seed: versions of these.
DRAWN_BY = ("hypothesis", "python")


def blessed(path: Path) -> Baseline:
    """Read a baseline, and see that its document is as the schema says, and names what its arrays are.

    Raises ParityError as `baseline.read`, and where it is not.
    """
    baseline = read(path)
    documents.check(path, baseline.document, "baseline", "is no baseline that parity has written")
    for name, figures in baseline.document["golden"].items():
        array, labels = baseline.arrays.get(name), figures["labels"]
        complete = array is not None and (array.dtype.kind != "f" or {"scale", "noise"} <= figures.keys())
        if array is None or not complete or (labels and array.shape != (len(labels),)):
            raise ParityError(f"{path}: golden {name} is not what the file beside it has; {AGAIN}")
    return baseline


def differences(expected: Baseline | None, measured: Baseline) -> list[Difference]:
    """Everything in which a run differs from what was blessed; where nothing was, what fails.

    In the order of the cause: the tokenizer, checks, known divergences, layers, golden values, noise.
    """
    if expected is None:
        rows = [*_checks({"checks": []}, measured.report, False), *_unmeasured(measured)]
        return [of for of in rows if of.cause in ("fails", "error")]
    old, new = expected.document, measured.document
    return [
        *_tokenizer(old, new),
        *_checks(old["report"], new["report"], same_draws(old, new)),
        *_known(old["report"], new["report"]),
        *_layers(old["layers"], new["layers"]),
        *(_unmeasured(measured) or (*golden(expected, measured), *noise(expected, measured))),
    ]


def _unmeasured(measured: Baseline) -> list[Difference]:
    """What kept a run from its golden values, if anything did."""
    return [Difference("error", "golden values", "that they are computed", measured.error)] if measured.error else []


def versions(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Name -> (then, now) of the versions in which two reports differ."""
    before, after = old["environment"], new["environment"]
    pairs = {name: (before.get(name, "none"), after.get(name, "none")) for name in {**before, **after}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def same_draws(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two runs drew the same examples."""
    draws = [(run["report"]["seed"], run["report"]["examples"], run["dtypes"]) for run in (old, new)]
    changed = versions(old["report"], new["report"])
    return draws[0] == draws[1] and not set(changed) & set(DRAWN_BY)


def _tokenizer(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    """Another fingerprint, and texts of `golden.TEXTS` that have other ids."""
    before, after = (run["report"]["tokenizer"] for run in (old, new))
    if before and after and before["sha256"] != after["sha256"]:
        descriptions = [f"{of['pieces']:,} pieces, sha256 {of['sha256'][:16]}" for of in (before, after)]
        yield Difference("tokenizer", "fingerprint", *descriptions)
    for text, ids in old["texts"].items():
        if text in new["texts"] and new["texts"][text] != ids:
            yield Difference("tokenizer", f"ids of {text!a}", str(ids), str(new["texts"][text]))


def _checks(old: Mapping[str, Any], new: Mapping[str, Any], same: bool) -> Iterator[Difference]:
    """How the checks of two reports differ; `same` says that both drew the same examples.

    A finding that a known divergence no longer occurs is left out where the list has lost that: nothing fails then.
    """
    before, after = ({check["name"]: check for check in run["checks"]} for run in (old, new))
    gone = [name for name in _names(old) if name not in _names(new)]
    for name in before:
        if name not in after:
            yield Difference("vanished", f"check {name}", _counted(before[name]), _absent(new, name))
    for name, check in after.items():
        if check.get("error"):
            of = check["error"]
            again = f"example: {short(of['example'])}", f"rerun: {of['command']}"
            detail = "\n".join((of["traceback"] or of["message"], *again))
            yield Difference("error", f"check {name}", "that it comes to its end", of["message"], detail=detail)
            continue
        findings = [finding for finding in check["findings"] if finding.get("expired") not in gone]
        fails = check["verdict"] in FAILING and (bool(findings) or not check["findings"])
        if name in before and before[name].get("error"):  # of two reports side by side: nobody blesses that
            yield Difference("improved", f"check {name}", "an error", _counted(check), loosens=False)
        elif name in before:
            yield from _check(before[name], check, fails, findings, same)
        elif fails:
            yield Difference(
                "fails", f"check {name}", "that it holds", _failure(check, findings), detail=_text(findings)
            )
        else:
            yield Difference("new", f"check {name}", _absent(old, name), _counted(check), loosens=False)


def _absent(run: Mapping[str, Any], name: str) -> str:
    """Why a run has no such check."""
    why = run.get("not_run", {}).get(name)
    return f"not run: {why}" if why else "no such check"


def _check(
    old: Mapping[str, Any], new: Mapping[str, Any], fails: bool, findings: Sequence[Mapping[str, Any]], same: bool
) -> Iterator[Difference]:
    """How one check's entries in two reports differ: the verdict, its precision, and how much was compared.

    `fails` says whether the new one fails, with these `findings`; `same` that both drew the same examples.
    """
    what, failed = f"check {new['name']}", old["verdict"] in FAILING
    words = old["verdict"], new["verdict"]
    ranks = [ORDER.index(word) for word in words]
    # What was blessed failing may fail, but not worse, and not in another array.
    elsewhere = failed and fails and _subject(old) != _subject(new)
    if (fails and not failed) or (failed and ranks[1] > ranks[0]) or elsewhere:
        was = f"{words[0]} in {_subject(old)}" if failed else words[0]
        yield Difference("fails", what, was, _failure(new, findings), detail=_text(findings))
    elif failed and ranks[1] < ranks[0]:
        yield Difference("improved", what, f"{words[0]} in {_subject(old)}", words[1], loosens=False)
    # 4 where both sides ran in float64, else 3, which is the less sensitive verdict.
    corners = [check["figures"].get("corners", 4) for check in (old, new)]
    if corners[0] != corners[1]:
        weaker = corners[1] < corners[0]
        was, now = (f"float64 on {'both sides' if count == 4 else 'one side only'}" for count in corners)
        yield Difference("weaker" if weaker else "improved", what, was, now, loosens=weaker)
    for count in ("examples", "elements"):
        if same and not fails and not failed and old[count] != new[count]:
            fewer = new[count] < old[count]
            amounts = f"{old[count]:,} {count}", f"{new[count]:,}"
            yield Difference("vanished" if fewer else "new", what, *amounts, loosens=fewer)
            return  # fewer examples compare fewer elements


def _subject(check: Mapping[str, Any]) -> str:
    """The array of a check's worst comparison."""
    return str(check["figures"].get("subject", "nothing"))


def _counted(check: Mapping[str, Any]) -> str:
    return f"{check['verdict']} over {check['examples']:,} examples, {check['elements']:,} elements"


def _failure(check: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]) -> str:
    return f"{check['verdict']}: {findings[0]['message'].partition(chr(10))[0]}" if findings else check["verdict"]


def _text(findings: Sequence[Mapping[str, Any]]) -> str:
    """What the line of a difference does not say of its findings.

    All of it where the cause was looked for, as of the first that fails; what may follow from that can be run again.
    """
    lines = []
    for number, of in enumerate(findings):
        headline, _, figures = of["message"].partition("\n")
        lines += [headline] * (number > 0)
        if of["why"]:
            lines += [*figures.splitlines(), *of["why"], f"example: {short(of['example'])}"]
        lines.append(f"rerun: {of['command']}")
    return "\n".join(lines)


def _names(report: Mapping[str, Any]) -> dict[str, str]:
    """The known divergences that a report shows: "torch clipping" -> its cause."""
    return {f"{of['side']} {of['name']}": of["cause"] for c in report["checks"] for of in c.get("known", ())}


def _known(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    """The known divergences of the frameworks that two reports do not both show."""
    before, after = _names(old), _names(new)
    for name, cause in before.items():
        if name not in after:
            # A finding that it no longer occurs stands until the list has lost it.
            listed = any(name == finding.get("expired") for check in new["checks"] for finding in check["findings"])
            yield Difference("gone", f"known divergence {name}", cause, "that it does not occur", loosens=listed)
    for name, cause in after.items():
        if name not in before:
            yield Difference("new", f"known divergence {name}", "no such divergence", cause)


def _layers(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    """How the layers of two runs differ, "layer.parameter" -> [kind, *shape]: whole ones, or the parameters of one.

    Fewer parameters, counted in numbers, are "vanished", since less is checked then; as many or more are "new".
    """
    before, after = ({name.rpartition(".")[0] for name in run} for run in (old, new))
    for layer in [*dict.fromkeys(name.rpartition(".")[0] for name in (*old, *new))]:
        if layer not in after:
            yield Difference("vanished", f"layer {layer}", _parameters(old, layer), "no such layer")
        elif layer not in before:
            yield Difference("new", f"layer {layer}", "no such layer", _parameters(new, layer), loosens=False)
        elif _parameters(old, layer) != _parameters(new, layer):
            fewer = _size(new, layer) < _size(old, layer)
            parameters = _parameters(old, layer), _parameters(new, layer)
            yield Difference("vanished" if fewer else "new", f"layer {layer}", *parameters)


def _of(layers: Mapping[str, Any], layer: str) -> dict[str, Any]:
    """The parameters of one layer, by their full names."""
    return {name: entry for name, entry in layers.items() if name.rpartition(".")[0] == layer}


def _parameters(layers: Mapping[str, Any], layer: str) -> str:
    """A layer in a few words: "dense kernel (5, 3), bias (5)"."""
    parameters = _of(layers, layer)
    kind = next(iter(parameters.values()))[0]
    return f"{kind} " + ", ".join(
        f"{name.rpartition('.')[2]} {dims(shape)}" for name, (_, *shape) in parameters.items()
    )


def _size(layers: Mapping[str, Any], layer: str) -> int:
    return sum(prod(shape) for _, *shape in _of(layers, layer).values())


@dataclass(frozen=True)
class GateResult:
    """One pair's run beside its baseline, if there is one; `target` is what the command line calls it."""

    target: str
    expected: Baseline | None
    found: Baseline
    differences: Sequence[Difference]

    @property
    def holds(self) -> bool:
        """Whether the run is as it was blessed."""
        return not self.differences

    @property
    def status(self) -> int:
        """The exit status: 0 if it holds, 3 where something ended in an error, else 1."""
        return ERROR if any(of.cause == "error" for of in self.differences) else int(not self.holds)

    @property
    def loosens(self) -> bool:
        """Whether accepting it needs a reason."""
        return any(of.loosens for of in self.differences)

    def accept(self, loosens: bool) -> str:
        """The command that accepts a difference, with a reason where that `loosens` what is checked.

        Empty while something ended in an error: what cannot be seen is not accepted.
        """
        return "" if self.status == ERROR else f"parity bless {self.target}" + (" --reason TEXT" if loosens else "")


def missing(target: str, path: Path, measured: Baseline) -> GateResult:
    """What a run comes to that has no baseline; it is written beside the place where that belongs, blessed by nobody.

    A run that ended in an error is not written. Raises ParityError as `baseline.write`.
    """
    failing = differences(None, measured)
    file = "none"
    if not any(of.cause == "error" for of in failing):
        write(path.with_name(path.name + NEW), measured)
        file = f"none; this run is in {path.name}{NEW}"
    return GateResult(
        target, None, measured, [Difference("missing", "baseline", str(path), file, loosens=bool(failing)), *failing]
    )
