"""No decision is taken by reading a message: what code needs to know of something is a value with a type."""

import ast

import pytest

from tests.test_house import MODULES, name_of, within

# What a text for people is called.
WORDS = {"told", "message", "fix", "subject", "why", "headline", "summary", "description", "descriptions", "reason"}
READING = {"startswith", "endswith", "partition", "rpartition", "split", "removeprefix", "removesuffix", "replace"}
READING |= {"find", "index", "count", "search", "match", "fullmatch"}
# Who may read one, and why.
READERS = {
    "report": "lays messages out",
    "compare.messages": "writes them",
    "compare.verdict": "a headline is a message's first line",
    "checks.results.outcome": "a headline is a message's first line",
    "gate.differences": "a difference is told by a message's first line",
    "checks.runner": "pickle says in its message alone that a script is what cannot be imported",
    "backends.keras.formats": "Keras's message is cut to its first sentence",
    "frontends.targets": "puts a message on one line",
    "inputs.tokenizer": "SentencePiece says in its message alone which vocabulary would fit",
    "diagnose.operators.proposal": "a fix ends with its place, and edits of one fix are one cause",
}


def is_message(node):
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "str" and len(node.args) == 1:
        return ast.unparse(node.args[0]) in ("error", "problem") or is_message(node.args[0])
    while isinstance(node, ast.Subscript):
        if getattr(node.slice, "value", None) in WORDS:  # of a document: finding["message"]
            return True
        node = node.value
    return getattr(node, "attr", getattr(node, "id", "")) in WORDS


def readings(tree):
    """Lines that take a message apart, or ask what it holds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READING:
            if is_message(node.func.value) or any(map(is_message, node.args)):
                yield node.lineno
        elif isinstance(node, ast.Compare) and isinstance(node.left, ast.Constant | ast.JoinedStr):
            held = any(isinstance(operator, ast.In | ast.NotIn) for operator in node.ops)
            if held and isinstance(getattr(node.left, "value", ""), str) and any(map(is_message, node.comparators)):
                yield node.lineno


READ = {name_of(path): lines for path in MODULES if (lines := [*readings(ast.parse(path.read_text()))])}


def test_no_module_decides_by_a_message():
    assert {name: lines for name, lines in READ.items() if not any(within(of, name) for of in READERS)} == {}


@pytest.mark.parametrize("reader", sorted({*READERS} - {"compare.messages"}))
def test_who_may_read_messages_does(reader):
    assert any(within(reader, name) for name in READ)


LINES = ("told.endswith('zeros')", "'nan' in verdict.message", "re.search('x', cause.fix)", "str(error).split()")


@pytest.mark.parametrize(
    "line", [*LINES, "str(finding['message']).startswith('known')", "description.partition(' of ')"]
)
def test_reading_a_message_is_seen(line):
    assert [*readings(ast.parse(line))] == [1]
