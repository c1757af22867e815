"""A port as it is typed: two models, each a builder, a folder or a file, as a pair of models with their own weights."""

import importlib
import importlib.util
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity import backends, strategies
from parity.backends import SIDES
from parity.backends.protocol import Ported
from parity.dtypes import Array, Inputs, Module, Outputs
from parity.errors import ParityError, reason
from parity.files import MOST_PARSED, is_directory, read_bytes
from parity.frontends.modules import looked_up
from parity.inputs.edges import Ids
from parity.inputs.sampling import Drawn
from parity.pair import stored
from parity.pair.pair import Pair

LENGTH = 7  # ids in a text, of a model that says nothing of its length
CONFIG = "config.json"
KINDS = "module:builder, a Hugging Face or KerasHub folder, a .keras file, a SavedModel, or module:builder@FILE"
EXTRAS = {"huggingface": ("transformers", "huggingface"), "kerashub": ("keras_hub", "kerashub")}
PROGRAMS = {".onnx": "--onnx", ".tflite": "--litert"}  # files of a model that was exported
TARGET = re.compile(r"([\w.]+):([\w.]+)(?:@(.+))?")


@dataclass(frozen=True)
class Origin:
    """Where one model comes from: `kind` is "file", "huggingface", "kerashub", "saved_model" or "builder".

    `target` is a builder's module:attribute, `path` a folder or a file. A builder that has to be given something is a
    converter: it is given `source`, the folder of the other side. With `head` a model comes with the head that its
    configuration names.
    """

    text: str
    kind: str
    path: str = ""
    target: str = ""
    source: str = ""
    head: bool = False

    @property
    def converts(self) -> bool:
        """Whether the model is made from the other side's folder."""
        return bool(self.target) and bool(_required(_attribute(self.target)))

    def __call__(self) -> Any:
        """Build the model. Raises ParityError where a file cannot be read, and whatever the user's builder raises."""
        backends.load()
        if self.kind == "builder":
            build = _attribute(self.target)
            if self.source and self.converts:
                build = partial(build, self.source)
            return _models(_side(build(), self.text)).of_file(build, Path(self.path)) if self.path else build()
        if self.kind == "file":
            return _models("tensorflow").of_file(None, Path(self.path))
        side = next(side for side in SIDES if self.kind in _models(side).FOLDERS)
        try:
            return _models(side).of_folder(self.kind, Path(self.path), self.head)
        except ParityError:
            raise
        except Exception as error:  # whatever a library raises of a folder that it cannot read
            raise ParityError(f"{self.text}: cannot be read ({reason(error)})") from error


def _answers(run: Callable[..., Any], names: tuple[str, ...], model: Module, inputs: Inputs, training: bool) -> Outputs:
    """What a model gives of the outputs that both sides name (`names`); all of it, if there are no names.

    `run` is the framework's way to call it; with it and the names bound, this is a pair's `call=`.
    """
    outputs = run(model, inputs, training)
    return {name: outputs[name] for name in names} if names else outputs


def origin(text: str) -> Origin:
    """What a side is, as it was typed. Raises ParityError for what it cannot be, or where a package is missing."""
    path = Path(text)
    if is_directory(path):
        return _folder(text, path)
    match = TARGET.fullmatch(text)
    if match and not path.is_file():
        target, weights = f"{match[1]}:{match[2]}", match[3] or ""
        looked_up(match[1], match[2].partition(".")[0])
        if weights and not Path(weights).exists() and not [*Path(weights).parent.glob(f"{Path(weights).name}.*")]:
            raise ParityError(f"{weights}: there is no such file")
        return Origin(text, "builder", str(Path(weights).absolute()) if weights else "", target)
    if not path.is_file():
        raise ParityError(f"{text}: there is no such file or folder; give {KINDS}")
    if option := PROGRAMS.get(path.suffix):
        raise ParityError(f"{text}: is a program, which is judged beside a pair: parity check PAIR {option} {text}")
    if path.suffix != ".keras":
        raise ParityError(f"{text}: holds weights and no model; give its builder: module:builder@{text}")
    return Origin(text, "file", str(path.absolute()))


def _folder(text: str, path: Path) -> Origin:
    """What a folder holds, by its files. Raises ParityError for another, and where the library for it is missing."""
    if (path / "saved_model.pb").is_file():
        return Origin(text, "saved_model", str(path.absolute()))
    if not (path / CONFIG).is_file():
        raise ParityError(f"{text}: has neither {CONFIG} nor saved_model.pb; give {KINDS}")
    kind = "kerashub" if "registered_name" in configuration(path) else "huggingface"
    package, extra = EXTRAS[kind]
    if package not in sys.modules and importlib.util.find_spec(package) is None:
        raise ParityError(f'{text}: {package} is not installed: run python -m pip install "parity[{extra}]"')
    return Origin(text, kind, str(path.absolute()))


def configuration(path: Path) -> dict[str, Any]:
    """What a folder's config.json says. Raises ParityError where it cannot be read or holds no object."""
    try:
        document = json.loads(read_bytes(path / CONFIG, MOST_PARSED))
    except (ValueError, RecursionError) as error:
        raise ParityError(f"{path / CONFIG}: cannot be read as JSON") from error
    if not isinstance(document, dict):
        raise ParityError(f"{path / CONFIG}: holds {type(document).__name__}, but an object is expected")
    return document


def _offline() -> None:
    """Tell the libraries of Hugging Face and Kaggle, before any of them is imported, to fetch nothing."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "KAGGLEHUB_OFFLINE": "1"}
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def taken(text: str | None, directory: Path) -> Inputs:
    """The inputs that a text names: sizes, "7,11"; ids of a vocabulary, "12<1000"; arrays in a file; module:attribute.

    Raises ParityError for any other.
    """
    if text is None:
        return None
    if re.fullmatch(r"\d{1,9}(,\d{1,9})*(<\d{1,9})?", text):
        sizes, _, below = text.partition("<")
        return strategies.arrays(*map(int, sizes.split(",")), below=int(below) if below else None)
    if TARGET.fullmatch(text) and not Path(text).is_file():
        sys.path[:0] = ["", str(directory)]
        module, _, attribute = text.partition(":")
        looked_up(module, attribute)
        backends.load()
        return _named(text)
    return stored.read(Path(text))


def paired(source: str, port: str, directory: Path, inputs: Inputs = None) -> tuple[Pair, tuple[str, str]]:
    """The pair of a source and its port, each as typed, and which side is the source, and which is the port.

    `inputs` are those of a Pair, where the models do not say what they take. Each is built once, to see what it is.
    Raises ParityError for what is no pair.
    """
    _offline()
    sys.path[:0] = ["", str(directory)]
    origins = [origin(source), origin(port)]
    backends.load()
    if origins[0].path and is_directory(Path(origins[0].path)):
        origins[1] = replace(origins[1], source=origins[0].path)
    elif origins[1].kind == "builder" and origins[1].converts:
        raise ParityError(f"{port}: takes an argument, the source's folder, but {source} is none")
    models = [_built(of) for of in origins]
    frameworks = [_side(model, of.text) for model, of in zip(models, origins, strict=True)]
    # Two models of one framework are told apart by what they are, not by what runs them.
    sides = (frameworks[0], frameworks[1]) if frameworks[0] != frameworks[1] else ("source", "port")
    inputs = inputs if inputs is not None else _taken(frameworks, models, source, port)

    def made() -> dict[str, Any]:
        named = dict(zip(sides, origins, strict=True))
        return named if sides[0] in SIDES else {frameworks[0]: named}

    pair = Pair(f"{source} and {port}", inputs=inputs, weights="given", **made())
    names = _common(frameworks, models, origins, pair.specimens[0])
    run = (partial(_answers, _models(framework).answers, names) for framework in frameworks)
    return replace(pair, call=dict(zip(sides, run, strict=True)), **made()), sides


def _built(of: Origin) -> Module:
    """The model of an origin. Raises ParityError for whatever building it raises."""
    try:
        return of()
    except ParityError:
        raise
    except Exception as error:  # a user's builder may raise anything
        raise ParityError(f"{of.text}: cannot be built ({reason(error)})") from error


def _models(side: str) -> Ported:
    """What a framework does with models that were carried over."""
    return cast(Ported, importlib.import_module(f"parity.backends.{side}.ported"))


def _side(model: Module, text: str) -> str:
    """The framework that a model is of. Raises ParityError where it is of none."""
    for side in SIDES:
        if _models(side).is_model(model):
            return side
    raise ParityError(f"{text}: gives a {type(model).__name__}, which is no model of torch or TensorFlow")


def _taken(frameworks: Sequence[str], models: Sequence[Any], source: str, port: str) -> SearchStrategy[Any]:
    """A strategy for what the models take, as the first one says that does. Raises ParityError if neither does."""
    for framework, model in zip(frameworks, models, strict=True):
        inputs = _models(framework).takes(model)
        if inputs:
            several = [*map(_strategy, inputs.get("several", (inputs,)))]
            if None not in several:
                one: SearchStrategy[Any] = several[0] if len(several) == 1 else st.tuples(*several)
                return one
    raise ParityError(f"neither {source} nor {port} says what it takes; give it by --inputs")


def _strategy(takes: Mapping[str, Any]) -> Any:
    """Arrays of one input: of its `shape` without the batch, or ids `below` a size, none of them `pad`; None for a
    shape that is not known.
    """
    shape, below, pad = (takes.get(name) for name in ("shape", "below", "pad"))
    if below is None:
        return strategies.arrays(*shape) if shape else None
    if pad is None or not 0 <= pad < below:
        return strategies.arrays(*(shape or (LENGTH,)), below=below)
    # One id fewer is drawn, and those from the padding's on move up by one.
    drawn = strategies.arrays(*(shape or (LENGTH,)), below=below - 1)
    return Drawn(drawn.map(partial(_but, pad)), {(): Ids(below)})


def _but(pad: int, ids: Array) -> Array:
    """Ids without that of padding, which some models count their positions by."""
    return ids + (ids >= pad)


def _common(frameworks: Sequence[str], models: Sequence[Any], origins: list[Origin], inputs: Inputs) -> tuple[str, ...]:
    """The names that both sides have for what they give; none where one gives no names.

    A folder's model gets its head, in `origins`, where the other side gives logits. Raises ParityError where both give
    names and share none, and where a model cannot be called.
    """
    named = [_names(*of, inputs) for of in zip(frameworks, models, origins, strict=True)]
    if not all(named):
        return ()
    for at in range(2):
        if "logits" in named[1 - at] and "logits" not in named[at] and origins[at].kind == "huggingface":
            origins[at] = replace(origins[at], head=True)
            named[at] = _names(frameworks[at], _built(origins[at]), origins[at], inputs)
    names = tuple(name for name in named[0] if name in named[1])
    if not names:
        texts = (f"{of.text} gives {', '.join(names)}" for of, names in zip(origins, named, strict=True))
        raise ParityError(f"{' and '.join(texts)}: there is nothing to compare")
    return names


def _names(framework: str, model: Module, of: Origin, inputs: Inputs) -> tuple[str, ...]:
    """The names of what a model gives of these inputs; none of an array or a tuple. Raises ParityError if it cannot."""
    try:
        outputs = _models(framework).sampled(model, inputs)
    except Exception as error:  # a user's model may raise anything
        raise ParityError(
            f"{of.text}: cannot be called on what is drawn for it ({reason(error)}); see --inputs"
        ) from error
    return tuple(outputs) if isinstance(outputs, dict) else ()


def _named(target: str) -> Any:
    """What a module has by a name. Raises ParityError where it has not."""
    module, _, attribute = target.partition(":")
    try:
        return reduce(getattr, attribute.split("."), importlib.import_module(module))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever importing the user's module raises, sys.exit() too
        raise ParityError(f"{target}: cannot be imported ({reason(error)})") from error


def _attribute(target: str) -> Callable[..., Any]:
    """The builder of a module:attribute. Raises ParityError where there is none, or it cannot be called."""
    value = _named(target)
    if not callable(value):
        raise ParityError(f"{target}: is a {type(value).__name__}, but should be a function that returns a model")
    build: Callable[..., Any] = value
    return build


def _required(build: Callable[..., Any]) -> list[str]:
    """The names of the positional arguments that a function has to be given; none where it cannot be asked."""
    try:
        parameters = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):
        return []
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [of.name for of in parameters if of.kind in positional and of.default is inspect.Parameter.empty]
