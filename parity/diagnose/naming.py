"""What is said of the sides, by the names that a pair gives them.

A search knows its sides by their frameworks' names, torch first: so it says what it found. Where a pair's sides are
called otherwise, these words are exchanged for their names, once, when the search is over.
"""

import re
from dataclasses import replace

from parity.checks.results import Diagnosis
from parity.compare.square import NAMES

WORD = re.compile(rf"(?<![\w./-])({'|'.join(NAMES)})(?!\w|\.\w|[/-])")  # no part of a path or of a qualified name


def named(diagnosis: Diagnosis, sides: tuple[str, str]) -> Diagnosis:
    """Replace the frameworks' names in a diagnosis's texts by the names of a pair's sides."""
    if sides == NAMES:
        return diagnosis
    names = dict(zip(NAMES, sides, strict=True))

    def said(text: str) -> str:
        return WORD.sub(lambda word: names[word[0]], text)

    causes = tuple(
        replace(cause, told=said(cause.told), fix=said(cause.fix), subject=said(cause.subject))
        for cause in diagnosis.causes
    )
    return replace(diagnosis, causes=causes, ruled_out=tuple(map(said, diagnosis.ruled_out)))
