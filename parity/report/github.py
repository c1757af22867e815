"""What GitHub Actions is told of a report: an annotation a finding or error, and a summary. Anywhere else, nothing.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from parity.errors import ParityError
from parity.files import check_place
from parity.report import html

ACTIONS, SUMMARY = "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"


def check(environment: Mapping[str, str]) -> None:
    """Raise ParityError unless the summary can be written: said before long work, and not behind it."""
    if environment.get(SUMMARY):
        check_place(Path(environment[SUMMARY]))


def tell(document: Mapping[str, Any], environment: Mapping[str, str], line: Callable[[str], None]) -> None:
    """Give `line` each annotation, and add to the summary, as far as the environment asks for them.

    Raises ParityError where the summary cannot be written.
    """
    if environment.get(ACTIONS) == "true":
        for annotation in annotations(document):
            line(annotation)
    if environment.get(SUMMARY):
        path = Path(environment[SUMMARY])
        try:
            with path.open("a", encoding="utf-8") as file:  # steps write one after another
                file.write(html.summary(document))
        except OSError as error:
            raise ParityError(f"{path}: cannot be written ({error.strerror})") from error


def annotations(document: Mapping[str, Any]) -> list[str]:
    """An `::error` command for each finding, with its place, cause, example and command; for each error; and for each
    pair that was not checked.
    """
    unchecked = document.get("unchecked", {}).items()
    return [
        f"::error title={_escaped(f'parity check {pair}', ':,')}::{_escaped(html.cut(f'was not checked: {reason}'))}"
        for pair, reason in unchecked
    ] + [
        f"::error title={_escaped('parity check {}: {}'.format(report['pair'], check['name']), ':,')}::{_told(of)}"
        for report in document.get("reports", [document])
        for check in report["checks"]
        for of in (*check["findings"], *([check["error"]] if check["error"] else ()))
    ]


def _told(of: Mapping[str, Any]) -> str:
    """A finding's lines, or an error's, as the text of one annotation. Of the two only a finding has a "why"."""
    lines = (of["message"], *of["why"]) if "why" in of else (f"did not finish: {of['message']}",)
    return _escaped("\n".join(map(html.cut, (*lines, f"example: {of['example']}", f"rerun: {of['command']}"))))


def _escaped(text: str, more: str = "") -> str:
    """A text with line breaks, "%" and the letters in `more` as %XX: in a property ":" and "," have a meaning, too."""
    return "".join(f"%{ord(letter):02X}" if letter in f"%\r\n{more}" else letter for letter in text)
