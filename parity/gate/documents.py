"""JSON that parity wrote, read back: nothing of it is used unless it is as `report/schema.json` says."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from parity.errors import ParityError

SHOWN = 200  # letters of what is wrong in a file


def parse(text: str) -> Any:
    """The value of a JSON text. Raises ValueError for anything else, infinity and NaN included."""

    def refuse(constant: str) -> Any:
        # Python's own parser takes NaN and Infinity, which the standard does not have.
        raise ValueError(f"{constant} is no JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def check(path: Path, document: Any, kind: str, what: str) -> None:
    """Raise ParityError, naming the place at fault that says most, unless a file's document is as the schema says.

    `kind` is a name in the schema's `$defs`, and `what` the beginning of the message, behind the file's name.
    """
    from jsonschema.exceptions import best_match

    try:
        error = best_match(_validator(kind).iter_errors(document))
    except RecursionError as deep:
        raise ParityError(f"{path}: {what} (it is nested too deeply)") from deep
    if error is not None:
        message = error.message if len(error.message) <= SHOWN else f"{error.message[:SHOWN]}…"
        raise ParityError(f"{path}: {what} ({error.json_path[:SHOWN]}: {message})")


@cache
def _validator(kind: str) -> Any:
    """What judges documents of a `kind` of the schema; imported and made when the first is read."""
    from jsonschema import Draft202012Validator

    schema: Mapping[str, Any] = json.loads((Path(__file__).parents[1] / "report" / "schema.json").read_text("utf-8"))
    return Draft202012Validator({"$defs": schema["$defs"], "$ref": f"#/$defs/{kind}"})
