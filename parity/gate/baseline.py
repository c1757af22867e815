"""Baseline: what was blessed of a pair, as two files that are there whole or not at all.

`<pair>.json` is for people and for `git diff`: the report, the layers, what each golden value is judged by,
and the history of what was accepted and why. `<pair>.<sha>.safetensors` has the golden values. The JSON
names the other by its content and is moved last, under a lock that dies with its process, so a run that
is killed leaves the old baseline and two at once leave one of theirs. Its last line seals all others:
what was changed by hand, or by a merge, is refused with the line at fault.
"""

import contextlib
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load, save

from parity.dtypes import Array
from parity.errors import ParityError
from parity.files import MOST_PARSED, check_place, read_bytes, read_text, replacing
from parity.scratch import holder, locked

SCHEMA = 1  # of the file, which `report/schema.json` describes; a file of another is refused
NEW = ".new"  # behind the name of one that nobody has accepted
PATIENCE = 10.0  # seconds that another process has to end its writing, which takes milliseconds
AGAIN = "put the file back as it was, or delete it and run parity bless again"
# The last line but one: a sha256, and four hexadecimal digits for each line before it.
_SEAL = re.compile(r'  "seal": "([0-9a-f]{64}) ((?:[0-9a-f]{4})+)"\n\}\n')


@dataclass(frozen=True)
class Baseline:
    """A pair's run: one that was accepted and read from a file, or one that was just measured.

    `document` is what the JSON says but for its seal, `arrays` what the safetensors file holds, by name.
    `seal` is that of the file it was read from, empty if it was measured. `misfit` says why a run could not
    take the inputs of the baseline that it is compared with, `error` what kept it from its golden values.
    """

    document: Mapping[str, Any]
    arrays: Mapping[str, Array] = field(default_factory=dict)
    seal: str = ""
    misfit: str = ""
    error: str = ""

    @property
    def report(self) -> Mapping[str, Any]:
        """The report, as `Report.to_json` has it."""
        report: Mapping[str, Any] = self.document["report"]
        return report


def place(directory: Path, target: str) -> Path:
    """Where the baseline of a pair belongs: "acme.models:pair" is acme.models.pair.json."""
    return directory / f"{target.replace(':', '.')}.json"


def read(path: Path) -> Baseline:
    """Read a baseline, if it is whole and as it was written. Raises ParityError with the file, or the line, at fault.

    Waits for another process that writes one in the same directory, up to `PATIENCE` seconds.
    """
    with _alone(path.parent):
        text = read_text(path, MOST_PARSED)
        document = _document(path, text)
        seal = document.pop("seal")
        beside, sha = _beside(path, document.pop("arrays", None))
        data = read_bytes(beside)
        if hashlib.sha256(data).hexdigest() != sha:
            raise ParityError(f"{beside}: is not the file that was accepted with {path.name}; {AGAIN}")
    try:
        return Baseline(document, load(data), seal)
    except (SafetensorError, KeyError, ValueError) as error:  # a KeyError of a dtype that NumPy has not
        raise ParityError(f"{beside}: is no safetensors file ({error}); {AGAIN}") from error


def _beside(path: Path, stored: Any) -> tuple[Path, str]:
    """Where the golden values of a baseline are, which is beside it, and their sha256."""
    try:
        return path.with_name(stored["file"]), str(stored["sha256"])  # refuses a name with a slash: no way out of here
    except (TypeError, KeyError, ValueError) as error:
        raise ParityError(f"{path}: names no file of golden values beside it; {AGAIN}") from error


def _document(path: Path, text: str) -> dict[str, Any]:
    """The JSON of a baseline whose seal holds. Raises ParityError with the line at fault."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ParityError(f"{path}: line {error.lineno} is no JSON ({error.msg}); {AGAIN}") from error
    except (RecursionError, ValueError) as error:  # a ValueError of a number of thousands of digits
        raise ParityError(f"{path}: line 1 is no baseline of parity; {AGAIN}") from error
    if not isinstance(document, dict) or not {"baseline", "schema", "seal"} <= set(document):
        raise ParityError(f"{path}: line 1 is no baseline of parity; {AGAIN}")
    if document["schema"] != SCHEMA:
        line = next((n for n, text_line in enumerate(text.split("\n"), 1) if '"schema"' in text_line), 1)
        reason = f"schema {document['schema']!r}, which this parity does not know"
        raise ParityError(f"{path}: line {line} says {reason}; it knows {SCHEMA}")
    _unseal(path, text)
    return document


def write(path: Path, baseline: Baseline, over: str | None = None) -> None:
    """Write both files, and remove the golden values that no baseline of the pair needs any more.

    `over` is the seal of what is to be replaced, empty if nothing is; with None whatever is there is replaced. Raises
    ParityError where another was accepted meanwhile, and where a file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParityError(f"{path.parent}: cannot be made a directory ({error.strerror})") from error
    check_place(path)
    name = path.name.partition(".json")[0]
    data = save(dict(baseline.arrays))
    sha = hashlib.sha256(data).hexdigest()
    beside = path.with_name(f"{name}.{sha[:12]}.safetensors")
    text = _sealed({**baseline.document, "arrays": {"file": beside.name, "sha256": sha}})
    with _alone(path.parent):
        if over not in (None, _seal(path)):
            raise ParityError(f"{path}: another was accepted meanwhile; look at it, then try again")
        # The JSON last, which names the other: until it is moved, the old baseline stands whole.
        with replacing(beside) as temporary:
            temporary.write_bytes(data)
        with replacing(path) as temporary:
            temporary.write_text(text)
        _tidy(path.with_name(f"{name}.json"), blessed=not path.name.endswith(NEW))


def _tidy(path: Path, blessed: bool) -> None:
    """Remove what nobody has accepted, once something is, and whatever golden values no JSON names."""
    new = path.with_name(path.name + NEW)
    if blessed:
        new.unlink(missing_ok=True)
    named = "".join(read_text(of, MOST_PARSED) for of in (path, new) if of.exists())
    for file in path.parent.iterdir():
        if re.fullmatch(rf"{re.escape(path.stem)}\.[0-9a-f]{{12}}\.safetensors", file.name) and file.name not in named:
            file.unlink()


def _sealed(document: Mapping[str, Any]) -> str:
    """The text of a document, its seal last: the sha256 of all other lines, and four digits of each one's CRC."""
    text = json.dumps(document, indent=2, allow_nan=False)
    text = re.sub(r"\[\n\s+([^][{}]*?)\n\s+\]", _flat, text)
    body = text.removesuffix("\n}") + ","
    return f'{body}\n  "seal": "{_digest(body)}"\n}}\n'


def _flat(match: re.Match[str]) -> str:
    """A list of numbers or texts on one line. The breaks are JSON's own: a text has its own as escapes."""
    items = re.sub(r"\n\s+", " ", match[1])
    return f"[{items}]"


def _digest(body: str) -> str:
    """What a seal says of the lines before it: a sha256 finds any change, and the short sums the line of it."""
    lines = "".join(f"{zlib.crc32(line.encode()) & 0xFFFF:04x}" for line in body.split("\n"))
    return f"{hashlib.sha256(body.encode()).hexdigest()} {lines}"


def _seal(path: Path) -> str:
    """The seal of a file, empty if there is none."""
    match = _SEAL.search(read_text(path, MOST_PARSED)) if path.exists() else None
    return " ".join(match.groups()) if match else ""


def _unseal(path: Path, text: str) -> None:
    """Raise ParityError naming the first line that is not as it was written."""
    lines, match = text.split("\n"), _SEAL.search(text)
    if match is None or match.end() != len(text):
        end = len(text.rstrip().split("\n"))
        raise ParityError(f"{path}: line {end} is not the end of a baseline of parity; {AGAIN}")
    body = text[: match.start()].removesuffix("\n")
    if _digest(body) == " ".join(match.groups()):
        return
    # Four digits a line: the first that differ are those of the line that was changed, put in or taken out.
    ours, theirs = (re.findall("....", digits) for digits in (_digest(body).split(" ")[1], match[2]))
    changed = (at for at, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other)
    at = next(changed, len(ours))  # what is left is the seal itself
    raise ParityError(f"{path}: line {at + 1} was changed by hand ({lines[at].strip()[:60]!r}); {AGAIN}")


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Have a directory of baselines alone. Raises ParityError naming another process that has it for `PATIENCE`
    seconds, or where it cannot be read.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(directory.resolve(), PATIENCE))
        except BlockingIOError as error:
            reason = f"is in use by {holder(directory)}, even after {PATIENCE:g} seconds"
            raise ParityError(f"{directory}: {reason}; end that process, or try again later") from error
        except OSError as error:
            raise ParityError(f"{directory}: cannot be read ({error.strerror})") from error
        yield
