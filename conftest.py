"""Shared fixtures. The frameworks are imported by the tests that need them, in the order that parity sets."""

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from parity import backends, checks
from parity.checks.results import Outcome
from parity.checks.runner import run_check
from parity.dtypes import Array
from parity.errors import ParityError
from parity.frontends import cli
from parity.inputs.sampling import without_constants_of_modules
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from parity.reference import PAIRS
from parity.report import github
from parity.selftest.faults.fault import BorrowedModels
from parity.selftest.faults.pairs import pair as reference

# Behind everything else: the tests run `benchmarks` and share modules from here, and the parity that is installed.
sys.path.append(str(Path(__file__).parent))
pytest.register_assert_rewrite("tests.helpers.segments")

# A checkout that was installed before parity had a plugin does not register it.
PLUGIN = [] if metadata.entry_points(group="pytest11", name="parity") else ["parity.frontends.pytest_plugin.plugin"]
pytest_plugins = ["pytester", *PLUGIN]

# Where the tests themselves run in GitHub Actions, it is told nothing of what they check.
for name in (github.ACTIONS, github.SUMMARY):
    os.environ.pop(name, None)

# A busy machine is no failure. In CI this goes on from Hypothesis's own profile, which is derandomised.
settings.register_profile("tests", settings(), deadline=None)
settings.load_profile("tests")


@pytest.fixture(autouse=True, scope="session")
def _same_draws() -> Iterator[None]:
    """Hypothesis draws constants of loaded modules: an import between two runs of an example would be called flaky."""
    with without_constants_of_modules():
        yield


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
def corners(references: Callable[[str], PairModels]) -> PairModels:
    """The clean LSTM pair's four models, shared by all tests; whoever alters one builds another."""
    return references("lstm")


@pytest.fixture(scope="session")
def references(small: Tokenizer) -> Callable[[str], PairModels]:
    """The four models of a clean pair, a reference pair or the self-test's own, by name; shared as `corners` are."""
    backends.load()
    gc.set_threshold(50_000, 20, 50)  # nearly all models stay to the end
    return cache(lambda name: PairModels(reference(name, small)))


@pytest.fixture(params=PAIRS)
def twins(request: pytest.FixtureRequest, references: Callable[[str], PairModels]) -> PairModels:
    """The four models of each reference pair in turn."""
    return references(request.param)


@pytest.fixture(scope="session")
def broken(references: Callable[[str], PairModels], small: Tokenizer) -> Callable[..., PairModels]:
    """A pair with a fault planted: `broken(torch=alter, tensorflow=alter)`, each model -> None.

    It is the LSTM pair, or `broken("gru", ...)`. A side that is not altered has copies of the clean pair's models.
    """

    def build(name: str = "lstm", /, promote: bool = True, **alter: Callable[[Any], None]) -> PairModels:
        pair = replace(reference(name, small), promote=promote)

        def builder(side: str) -> Callable[[], Any]:
            def made() -> Any:
                model = getattr(pair, side)()
                alter[side](model)
                return model

            return made

        altered = replace(pair, **{side: builder(side) for side in alter})
        return BorrowedModels(altered, references(name), pair.builds.keys() - alter)

    return build


@pytest.fixture(scope="session")
def message_of() -> Callable[..., str]:
    """The message of a check's one finding, of a small example if asked for; an error if the check is content."""

    def found(module: ModuleType, corners: PairModels, examples: int = 25, shrink: bool = False) -> str:
        (finding,) = run_check(module, corners, 0, examples, "parity check", shrink=shrink).findings
        return finding.message

    return found


@pytest.fixture(scope="session")
def outcome_of() -> Callable[..., Outcome]:
    """The tokenizer check of a tokenizer: `outcome_of(tokenizer, examples)`."""

    def found(tokenizer: Tokenizer, examples: int = 25) -> Outcome:
        corners: Any = SimpleNamespace(tokenizer=tokenizer, pair=SimpleNamespace(name="lstm"))
        return run_check(checks.tokenizer, corners, 0, examples, "parity check")

    return found


def bag_of_torch() -> Any:
    from torch import nn

    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(1000, 24), nn.Linear(24, 1000)

        def forward(self, ids: Any) -> Any:
            return self.head(self.table(ids))

    return Bag()


def bag_of_keras() -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential([layers.Embedding(1000, 24, name="table"), layers.Dense(1000, name="head")])


@pytest.fixture(scope="session")
def bag(small: Tokenizer) -> Pair:
    """A pair of models without a state, which see each id alone."""
    return Pair("bag", bag_of_torch, bag_of_keras, small)


class Tiny:
    """One side's small model: layers (name, shape) of which "a" and "b" have one shape."""

    def __init__(self, side: str) -> None:
        backends.load()  # the order of the imports
        self.side = side
        self.formats = import_module(f"parity.backends.{side}").formats

    def build(self, names: tuple[str, ...] = ("a", "b"), dtype: str = "float32") -> Any:
        if self.side == "torch":
            import torch

            return torch.nn.Sequential(torch.nn.ModuleDict({name: torch.nn.Linear(3, 3) for name in names})).to(
                getattr(torch, dtype)
            )
        import keras

        layers = [keras.layers.Dense(3, name=name, dtype=dtype) for name in names]
        return keras.Sequential([keras.Input((3,), dtype=dtype), *layers], name="tiny")

    def values(self, module: Any) -> list[Array]:
        if self.side == "torch":
            return [value.numpy().copy() for value in module.state_dict().values()]
        return [np.array(value) for value in module.get_weights()]

    def refusal(self, module: Any, path: Path) -> str:
        with pytest.raises(ParityError) as caught:
            self.formats.load(module, path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
        return str(caught.value).removeprefix(f"{path}: ")


@pytest.fixture(scope="session")
def tiny_of() -> Callable[[str], Tiny]:
    """A side's small model, its files and how they are refused: `tiny_of("torch")`."""
    return Tiny


FORMATS = [("torch", ".pth"), ("torch", ".safetensors")]
FORMATS += [("tensorflow", ".keras"), ("tensorflow", ".weights.h5"), ("tensorflow", ".ckpt")]


@pytest.fixture(params=FORMATS, ids=lambda entry: entry[1])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Tiny, Path, Any]:
    """A tiny side, the path of its saved model, and the model."""
    side, suffix = request.param
    tiny = Tiny(side)
    module = tiny.build()
    path = tmp_path / f"model{suffix}"
    tiny.formats.save(module, path)
    return tiny, path, module


@pytest.fixture
def parity(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line as a user does, in an empty directory: `parity("check", "--quiet")`."""

    def run(*args: object, cwd: Path = tmp_path, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "parity", *map(str, args)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False, **options)

    return run


@pytest.fixture(scope="session")
def valid() -> Callable[[str, str], Any]:
    """What a JSON text holds that is as the published schema says: `valid("report", text)`."""
    from jsonschema import Draft202012Validator

    schema = json.loads((Path(github.__file__).parent / "schema.json").read_text())
    Draft202012Validator.check_schema(schema)

    def read(kind: str, text: str) -> Any:
        document = json.loads(text)
        assert {"$ref": f"#/$defs/{kind}"} in schema["anyOf"]
        Draft202012Validator(schema | {"anyOf": [{"$ref": f"#/$defs/{kind}"}]}).validate(document)
        return document

    return read


@pytest.fixture(scope="session")
def furnish() -> Callable[[Path], None]:
    """Make a directory a user's project: a module with pairs, a corpus, a tokenizer."""

    def fill(directory: Path) -> None:
        (directory / "mine.py").write_text((Path(__file__).parent / "tests" / "helpers" / "pairs.py").read_text())
        (directory / "corpus.txt").write_text(fixture("texts/sample.txt").read_text() * 4)
        (directory / "small.model").write_bytes(fixture(SMALL).read_bytes())

    return fill


@pytest.fixture
def project(tmp_path: Path, furnish: Callable[[Path], None]) -> Path:
    """A user's project, which is also where `parity` runs."""
    furnish(tmp_path)
    return tmp_path


@pytest.fixture
def here(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process, which has the frameworks loaded: args -> (status, out, err)."""
    (project / "exits.py").write_text("import sys\nsys.exit(0)\npair = None\n")
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.delitem(sys.modules, "mine", raising=False)

    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["parity", *map(str, args)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def two_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the weights and forward checks were all there is."""
    monkeypatch.setattr(checks, "CHECKS", (checks.weights, checks.forward))


@pytest.fixture(scope="session")
def names() -> Callable[[Path], list[str]]:
    """The names in a directory, but for what Python leaves there."""
    return lambda directory: sorted(path.name for path in directory.iterdir() if path.name != "__pycache__")
