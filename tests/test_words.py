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
    r"(?<![`/])\btwins?\b(?!/)": "counterpart, matched; equivalent mutant",
    r"\b(surroundings_left_alone|hidden_script)\b|^class (_?Told|Gathered)\b": "names say what a thing is",
}
# Words of the code that a reader of the pages and messages never meets.
CODE = {r"(?<![`/])\btwins?\b(?!/)"}
FILES = [
    *(path for folder in ("parity", "docs") for path in sorted((ROOT / folder).rglob("*"))),
    ROOT / "README.md",
]
TEXTS = {path: path.read_text() for path in FILES if path.suffix in (".py", ".md", ".html") and path.is_file()}


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_phrase_that_readers_stumble_over_is_left(phrase):
    pattern = re.compile(phrase, re.IGNORECASE | re.MULTILINE)
    lines = {
        f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 1}: {found[0]}"
        for path, text in TEXTS.items()
        if phrase not in CODE or path.suffix == ".md"
        for found in pattern.finditer(text)
    }

    assert not lines, f"say instead: {PHRASES[phrase]}"


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
