"""Shared fixtures. The frameworks are imported by the tests that need them, in the order that parity sets."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

from parity.fixtures import fixture
from parity.pair import Corners, Pair
from parity.reference import PAIRS
from parity.reference import pair as reference
from parity.run import run_one
from parity.tokenizer import Tokenizer

# Behind everything else: the tests run `benchmarks` from here, and the parity that is installed.
sys.path.append(str(Path(__file__).parent))

# A busy machine is no failure. In CI this goes on from Hypothesis's own profile, which is derandomised.
settings.register_profile("tests", settings(), deadline=None)
settings.load_profile("tests")

SMALL = "tokenizer/stdlib-1000.model"


@pytest.fixture(scope="session")
def small() -> Tokenizer:
    """The 1,000-piece tokenizer."""
    return Tokenizer.load(fixture(SMALL))


@pytest.fixture(scope="session")
def lstm(small: Tokenizer) -> Pair:
    """The LSTM pair over the small tokenizer."""
    return reference("lstm", small)


@pytest.fixture(scope="session")
def corners(lstm: Pair) -> Corners:
    """The clean pair's four models, shared by all tests; whoever alters one builds another."""
    return Corners(lstm)


@pytest.fixture(scope="session")
def references(small: Tokenizer) -> Callable[[str], Corners]:
    """A clean reference pair's four models, by name; shared as `corners` are."""
    return cache(lambda name: Corners(reference(name, small)))


@pytest.fixture(params=PAIRS)
def twins(request: pytest.FixtureRequest, references: Callable[[str], Corners]) -> Corners:
    """The four models of each reference pair in turn."""
    return references(request.param)


@pytest.fixture
def broken(small: Tokenizer) -> Callable[..., Corners]:
    """A pair with a fault planted: `broken(torch=alter, tensorflow=alter)`, each model -> None.

    It is the LSTM pair, or `broken("gru", ...)`.
    """

    def build(name: str = "lstm", /, **alter: Callable[[Any], None]) -> Corners:
        pair = reference(name, small)

        def builder(side: str) -> Callable[[], Any]:
            def made() -> Any:
                model = getattr(pair, side)()
                alter[side](model)
                return model

            return made

        return Corners(replace(pair, **{side: builder(side) for side in alter}))

    return build


@pytest.fixture(scope="session")
def message_of() -> Callable[[ModuleType, Corners], str]:
    """The message of a check's one finding; an error if the check is content."""

    def found(module: ModuleType, corners: Corners, examples: int = 25) -> str:
        (finding,) = run_one(module, corners, 0, examples, "parity check").findings
        return finding.message

    return found


@pytest.fixture
def parity(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line as a user does, in an empty directory: `parity("check", "--quiet")`."""

    def run(*args: object, cwd: Path = tmp_path, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "parity", *map(str, args)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False, **options)

    return run


@pytest.fixture(scope="session")
def furnish() -> Callable[[Path], None]:
    """Make a directory a user's project: a module with pairs, a corpus, a tokenizer."""

    def fill(directory: Path) -> None:
        (directory / "mine.py").write_text((Path(__file__).parent / "tests" / "pairs.py").read_text())
        (directory / "corpus.txt").write_text(fixture("texts/sample.txt").read_text() * 4)
        (directory / "small.model").write_bytes(fixture(SMALL).read_bytes())

    return fill


@pytest.fixture
def project(tmp_path: Path, furnish: Callable[[Path], None]) -> Path:
    """A user's project, which is also where `parity` runs."""
    furnish(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def names() -> Callable[[Path], list[str]]:
    """The names in a directory, but for what Python leaves there."""
    return lambda directory: sorted(path.name for path in directory.iterdir() if path.name != "__pycache__")
