"""The words that people read: none that readers stumbled over is left in the package, the README or docs/."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Phrases, as regular expressions, and what is said instead. The four verdicts' own words are kept: files hold them.
PHRASES = {
    r"parity (holds|does not hold)": "PASS: models match; FAIL: ...",
    r"both sides compute the same output": "outputs match",
    r"above the limit:": "mismatched elements",
    r"\bworst (at \(|in\b)": "greatest difference at; largest difference in",
    r"representable numbers apart": "ULPs",
    r"\brounding explains": "rounding error accounts for",
    r"\bundone\b": "with this corrected",
    r"(?<![\w.-])freely\b(?!\")(?!: float)(?!`)": "end-to-end",
    r"the model's own code": "the code between layers",
    r"(torch|tensorflow|side \}\}) alone has": "only in torch",
    r"examples a check": "examples per check",
    r"left out: ": "skipped",
    r"0: equal bits|wanted: equal bits|equal bits\.": "bitwise equal",
    r"three corners, the weaker|the weaker verdict": "float64 on one side only; less sensitive",
    r"the precision square|upright edge": "float32/float64 comparison; each side's rounding error",
    r"whose twin|who is whose|without a twin|no twin: ": "counterparts; unmatched",
    r"none left over": "none unmatched",
    r"the gate (holds|does not hold)|\bas blessed\b|cause: fails": "the gate passed, failed",
    r"golden output moved|apart where rounding": "changed by",
    r"there is lstm|unknown verb": "available: ...; unknown command",
    r"can run it otherwise": "pass call={...}",
    r"cannot import what it needs": "must be importable",
    r"could settle its threads": "",
    r"array that floats|numbers that float\b": "floating-point",
    r"is misuse\b|a whole number from 0": "an error; a non-negative integer",
    r"all examples are drawn from|go on from TEXT with": "Random seed",
    r"carrying the state gives": "cached decoding matches full recomputation",
    r"everyone else compares|a tolerance somebody picked|asks what a tolerance|the dear ones": "",
    r"is the instrument right|^#+ the house|^#+ at the desk|gives every pytest": "",
    r"every known fault|benign twins": "known bugs; equivalent mutants",
    r"what else was found|it may all follow|>one by one<": "Other failures",
    r"\btimes (below|above)\"": "x under limit",
    r"^#+ (what rounding explains|where it ends)": "Limitations",
    r"\bmended\b": "fixed",
    r"is a ndarray|give a Hypothesis strategy": "inputs must be ...; got ndarray",
    r"save, reload, speak": "train and generate",
    r"\b(nothing is|another was|that was) blessed\b|\}: blessed": "accepted",
    r"(where|what) they promise|[34] corners\"|it proves nothing \"": "should; float64 on one side only",
    r"\bnot proved: ": "not verified",
    r"\b(surroundings_left_alone|hidden_script)\b|^class (_?Told|Gathered)\b": "names say what a thing is",
}
# Words of the code that a reader of the pages never meets: looked for in documents and templates alone.
OF_CODE = {
    r"(?<![`/.])\btwins?\b(?!/)": "counterpart, matched; equivalent mutant",
    r"`(clean|inherit|amplify|introduce)`": "ok, propagated, amplified, source",
    r"\b(three|four) corners\b": "float64 on one side only, on both sides",
    r"\blinked layers\b": "matched layers",
    r"\bbless(ed|ing)\b": "accepted; the baseline",
    r">meaning<|\b(what the user sees|rounding noise)\b": "float32 outputs; rounding error; true difference",
    r"\bare promised\b|>no difference<": "expected bitwise equal",
    r"\b(clean|inherited) layers?\b": "ok, propagated",
}
# Documents about the code, which have its words.
ABOUT_CODE = {"internals.md", "adding.md"}
FILES = [
    *(path for folder in ("parity", "docs") for path in sorted((ROOT / folder).rglob("*"))),
    ROOT / "README.md",
]
TEXTS = {path: path.read_text() for path in FILES if path.suffix in (".py", ".md", ".html") and path.is_file()}


@pytest.mark.parametrize("phrase", [*PHRASES, *OF_CODE])
def test_no_phrase_that_readers_stumble_over_is_left(phrase):
    pattern = re.compile(phrase, re.IGNORECASE | re.MULTILINE)
    lines = {
        f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 1}: {found[0]}"
        for path, text in TEXTS.items()
        if phrase in PHRASES or (path.suffix != ".py" and path.name not in ABOUT_CODE)
        for found in pattern.finditer(text)
    }

    assert not lines, f"say instead: {(PHRASES | OF_CODE)[phrase]}"


PARTICIPLES = {"found", "told", "made", "given", "kept", "held"}


def locals_of(tree):
    """(name, line) of each parameter and variable that a function, a lambda or a comprehension binds."""
    bodies = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    for body in (node for node in ast.walk(tree) if isinstance(node, bodies)):
        for node in ast.walk(body):
            if isinstance(node, ast.arg):
                yield node.arg, node.lineno
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id, node.lineno


def test_locals_are_nouns():
    """A field may have such a name, where it is a key of the JSON document; a local says what the thing is."""
    bound = {
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path, text in TEXTS.items()
        if path.suffix == ".py" and path.is_relative_to(ROOT / "parity")
        for name, line in locals_of(ast.parse(text))
        if name in PARTICIPLES
    }

    assert bound == set()


@pytest.mark.parametrize(
    "line",
    [
        "found = 1",
        "for given in ():\n  pass",
        "(told := 1)",
        "[made for made in ()]",
        "def g(held): ...",
        "lambda *kept: 0",
    ],
)
def test_that_the_test_above_sees_every_way_to_bind_a_local(line):
    tree = ast.parse("def f():\n" + "\n".join(f"    {part}" for part in line.split("\n")))

    assert {name for name, _ in locals_of(tree)} & PARTICIPLES


# Names of former days -> the field's word, or the house's one word for the idea.
FORMER = {
    "Beside": "BorrowedModels, Overlay, Window",
    "Benign": "BenignTwin",
    "Bench": "Worker",
    "Corner": "BackendModel",
    "Corners": "PairModels",
    "FLOOR": "MAX_FLOAT64_ULPS",
    "Forced": "TeacherForced",
    "Free": "FreeRunning",
    "Gated": "GateResult",
    "Gathered": "HtmlReport",
    "HOPELESS": "REDRAW_LIMIT",
    "Knobs": "FaultyRecipe",
    "Learner": "Trainer",
    "Linking": "LinkProof",
    "Loops": "Kernels",
    "NUDGES": "REDRAWS",
    "Piece": "SegmentResult",
    "RATIO": "MAX_NOISE_RATIO",
    "Row": "PrecisionResult",
    "SHARE of checks": "COST",
    "Shown": "KnownDivergence",
    "Square": "PrecisionSquare",
    "Survey": "LinkTable",
    "TEXTS of checks": "NEEDS_TOKENIZER",
    "ALWAYS of checks": "FIXED_EXAMPLES",
    "APART of checks": "FRESH_PROCESS",
    "carrier": "transport_dtype",
    "exact of compare": "judge_exact",
    "chosen of compare": "judge_argmax",
    "examine": "run_checks",
    "follow": "copy_parameters_from",
    "inward": "from_canonical",
    "learner": "trainer",
    "nudged of compare": "rerun",
    "outward": "to_canonical",
    "pull of backends": "vjp",
    "run_one": "run_check",
    "spoil": "fill_nan",
    "weigh": "judge_difference",
    "worst of compare": "max_abs_diff",
}
# Those of the same list that stay, and why.
STAYS = {
    "Sample": "an example's text, which reports print and runs are repeated by",
    "Case": "as Sample",
    "Recipe": "as Sample; its fields are words of the causes that JSON documents hold",
    "word": "Comparison.word is public, and Verdict.word is the same",
    "basis": "a key of the JSON document",
    "advance": "what a user's own model offers to be streamed",
    "eager": "a verb of docs/adding.md, which a backend of somebody's own has",
    "first": "of two sides: neither is the expected one",
}


def names_of(tree):
    """Every name that a module defines, uses or imports."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name", "asname"):
            if isinstance(name := getattr(node, field, None), str):
                yield name


def former(name, path):
    """Whether a name is a former one, there."""
    return name in FORMER or f"{name} of {path.parent.name}" in FORMER


def test_no_former_name_is_left():
    left = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in TEXTS.items()
        if path.suffix == ".py" and path.is_relative_to(ROOT / "parity")
        for name in {*names_of(ast.parse(text))}
        if former(name, path)
    }

    assert left == set()


def test_names_that_stay_are_there_and_say_why():
    names = {
        name
        for path, text in TEXTS.items()
        if path.suffix == ".py" and path.is_relative_to(ROOT / "parity")
        for name in names_of(ast.parse(text))
    }

    assert set(STAYS) <= names
    assert all(STAYS.values())
    assert not set(STAYS) & set(FORMER)


def test_a_former_name_is_seen():
    judge, calls = ROOT / "parity" / "compare" / "judge.py", ROOT / "parity" / "checks" / "calls.py"

    assert [name for name in names_of(ast.parse("corners = pair.models.Corners(a)")) if former(name, judge)] == [
        "Corners"
    ]
    assert former("SHARE", calls)
    assert former("exact", judge)
    assert not former("SHARE", judge)
