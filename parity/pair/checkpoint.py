"""A trained pair on disk: models, tokenizer and manifest in one directory, written whole or not at all.

The manifest names the pair, the tokenizer's fingerprint and every file's sha256. A directory whose
files do not match it is refused, so models never meet a tokenizer that they were not trained with.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parity import backends, scratch
from parity.backends.protocol import BackendModel
from parity.compare.square import NAMES
from parity.errors import ParityError
from parity.files import MOST_PARSED, is_directory, read_bytes
from parity.inputs.tokenizer import Tokenizer

MANIFEST = "parity.json"
TOKENIZER = "tokenizer.model"
SCHEMA = 1


@dataclass(frozen=True)
class Bundle:
    """A trained pair's directory, verified: the pair's name, the tokenizer, and each side's files."""

    directory: Path
    pair: str
    tokenizer: Tokenizer
    files: Mapping[str, list[Path]]

    def models(self, builds: Mapping[str, Callable[[], Any]]) -> dict[Path, tuple[str, BackendModel]]:
        """Load every model, float32: path -> (side, model). Raises ParityError naming a bad file."""
        if not self.files:
            raise ParityError(f"{self.directory}: holds no model; train again")
        loaded = backends.of({side: builds[side] for side in self.files})
        return {
            path: (side, loaded[side].load(builds[side], "float32", self.tokenizer.pad, path))
            for side, paths in self.files.items()
            for path in paths
        }


def check_place(directory: Path) -> None:
    """Raise ParityError unless a bundle can be written to this path without harm to anything else.

    What may be replaced is an empty directory, or one with a bundle's own files and no other.
    """
    try:
        if directory.exists() and not _is_free(directory):
            raise ParityError(f"{directory}: exists and is not a trained pair alone; choose another directory")
        if Path.cwd().is_relative_to(directory.resolve()) or directory.is_mount():
            raise ParityError(f"{directory}: is in use and cannot be replaced; choose another directory")
        # Tried, not asked: permissions do not tell of quotas or of a file system that is mounted read-only.
        with tempfile.TemporaryFile(dir=directory.resolve().parent):
            pass
    except (OSError, RuntimeError) as error:  # a RuntimeError of a link that leads to itself
        raise ParityError(f"{directory}: cannot be written ({getattr(error, 'strerror', error)})") from error


def _is_free(directory: Path) -> bool:
    """Whether nothing would be lost: no directory, an empty one, or one with a bundle's own files alone."""
    if not directory.is_dir():
        return False
    names = {path.name for path in directory.iterdir()}
    try:
        return not names or names <= {MANIFEST, *_manifest(directory / MANIFEST)["sha256"]}
    except ParityError:
        return False


@contextlib.contextmanager
def writing(
    directory: Path,
    pair: str,
    tokenizer: Tokenizer,
    models: Mapping[str, BackendModel],
    formats: Mapping[str, tuple[str, ...]],
) -> Iterator[Path]:
    """Write a bundle to a directory beside its place, yield that directory, and move it to its place at the end.

    `formats` gives the suffixes to write for each side. A run that is killed, or an error inside,
    leaves what was there before. Raises ParityError where the place is taken or cannot be written.
    """
    check_place(directory)
    directory = directory.resolve()
    try:
        with scratch.beside(directory) as place:
            staging = place / directory.name
            staging.mkdir(0o755)
            _write(staging, pair, tokenizer, models, formats)
            yield staging
            scratch.exchange(staging, directory)
    except OSError as error:
        raise ParityError(f"{directory}: cannot be written ({error.strerror})") from error


def _write(
    staging: Path,
    pair: str,
    tokenizer: Tokenizer,
    models: Mapping[str, BackendModel],
    formats: Mapping[str, tuple[str, ...]],
) -> None:
    """Write every file of a bundle to `staging`; the manifest comes last, since it holds the others' digests."""
    sides = {}
    for side, model in models.items():
        for suffix in formats[side]:
            model.save(staging / f"{side}{suffix}")
            sides[f"{side}{suffix}"] = side
    (staging / TOKENIZER).write_bytes(tokenizer.data)
    manifest = {
        "schema": SCHEMA,
        "pair": pair,
        "tokenizer": tokenizer.fingerprint,
        "models": sides,
        "sha256": {path.name: _sha256(path) for path in sorted(staging.iterdir())},
    }
    (staging / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def load(directory: Path, sides: Collection[str] = NAMES) -> Bundle:
    """Read and verify a bundle of these sides. Raises ParityError naming what is missing or does not match."""
    if not is_directory(directory):
        # A `parity train` that was killed between its two renames has left the former bundle beside its place.
        scratch.recover(Path(os.path.realpath(directory)))
    if not is_directory(directory):
        raise ParityError(f"{directory}: is not a directory; give one that parity train has written")
    if not (directory / MANIFEST).is_file():
        raise ParityError(f"{directory}: has no {MANIFEST}; give a directory that parity train has written")
    manifest = _manifest(directory / MANIFEST, sides)
    tokenizer = Tokenizer.load(directory / TOKENIZER)
    if tokenizer.fingerprint != manifest["tokenizer"]:
        raise ParityError(
            f"{directory / TOKENIZER}: fingerprint {tokenizer.fingerprint[:12]}, but the models were trained with "
            f"{manifest['tokenizer'][:12]}; put that tokenizer back"
        )
    for name, sha256 in manifest["sha256"].items():
        if _sha256(directory / name) != sha256:
            raise ParityError(f"{directory / name}: is not the file that was saved; train again or copy it again")
    files: dict[str, list[Path]] = {}
    for name, side in manifest["models"].items():
        files.setdefault(side, []).append(directory / name)
    return Bundle(directory, manifest["pair"], tokenizer, files)


def _manifest(path: Path, sides: Collection[str] = NAMES) -> dict[str, Any]:
    """Parse and check a manifest, which is not trusted. Raises ParityError unless it is one, of these sides."""
    try:
        manifest = json.loads(read_bytes(path, MOST_PARSED))
        shapes = {"pair": str, "tokenizer": str, "models": dict, "sha256": dict}
        if manifest["schema"] != SCHEMA or not all(isinstance(manifest[k], t) for k, t in shapes.items()):
            raise ValueError
        # A name in a manifest is a name in its own directory, never a path out of it.
        if any(Path(name).name != name or "\0" in name for name in (*manifest["models"], *manifest["sha256"])):
            raise ValueError
        # A model is one file, or several that begin with its name.
        if not all(any(name.startswith(model) for name in manifest["sha256"]) for model in manifest["models"]):
            raise ValueError
        if not set(manifest["models"].values()) <= set(sides):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ParityError(f"{path}: is not a parity manifest; train again or copy it again") from error
    return dict(manifest)


def _sha256(path: Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()
