"""The frameworks behind one protocol: the same few verbs, data crossing as NumPy arrays.

A backend is a module with the names of `Backend`, in a folder of its own; nothing outside these folders imports a
framework. What its models can do are capabilities, protocols of `protocol`; a deployed file, as ONNX and LiteRT, has
only some of them, and a check that needs more is left out.

    protocol      what a backend and its models offer, capability by capability: read this first
    build         how one side's model is made and asked
    hooks         the calls of layers, seen and replaced as they happen
    operations    a run, operation by operation, and edits of it
    nesting       any nesting of tensors by its places
    attributes, modes     what a model is set to besides its variables; training mode without what it draws
    optimizer_state       an optimizer's state on disk
    deployed      a file that can only be run
    process, workers, preload     fresh processes, and one a core, forked from one that has imported everything
    interrupt     whether this process was asked to end
    torch, tensorflow, jax, onnx, litert    a framework or a runtime each, file for file alike where both have the thing
    keras         what Keras's models are, whichever of its backends runs them

This is the one place that knows the order in which frameworks are imported (torch before TensorFlow: the other way
round has crashed on import) and that each gets one thread, set before any operation runs: with another process on the
machine, torch's second has made an LSTM forward 1400 times slower.
"""

import atexit
import contextlib
import gc
import importlib
import importlib.util
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from parity.backends.build import Build
from parity.backends.protocol import EVERY, Backend, Recordable, Runnable, Savable, Trainable, Weighted
from parity.errors import KerasTaken, ParityError


class Entry(NamedTuple):
    """A backend: its module, the package that it needs, and the extra that brings the package.

    `offers` is what its models can do. Those of `after` are imported before it, where they are installed: a later pair
    may need them. Of files, `origin` is the framework that they are made from, as a rule. Where its models are Keras's,
    Keras runs on `keras`, which is settled when it is imported: a process has one such backend.
    """

    module: str
    package: str
    extra: str
    offers: tuple[type, ...] = EVERY
    after: tuple[str, ...] = ()
    origin: str = ""
    keras: str = ""


# Name -> backend, in the order of a pair's sides.
BACKENDS = {
    "torch": Entry("parity.backends.torch", "torch", "torch"),
    "tensorflow": Entry("parity.backends.tensorflow", "tensorflow", "tensorflow", after=("torch",), keras="tensorflow"),
    "jax": Entry("parity.backends.jax", "jax", "jax", after=("torch",), keras="jax"),
    "litert": Entry(
        "parity.backends.litert",
        "ai_edge_litert",
        "litert",
        offers=(Runnable, Recordable, Savable),
        origin="tensorflow",
    ),
    "onnx": Entry(
        "parity.backends.onnx", "onnxruntime", "onnx", offers=(Runnable, Weighted, Recordable, Savable), origin="torch"
    ),
}
SIDES = ("torch", "tensorflow")  # the two that a pair has unless it says otherwise
CHOSEN = os.environ.get("KERAS_BACKEND", "")  # what the user has Keras run on; empty where that is left to us
UNSETTLED: list[str] = []  # what was settled before parity came, and may be otherwise in a fresh process


def discard_compiled() -> None:
    """Have each framework that is loaded drop what it keeps of compiled functions; a file compiles for itself alone."""
    for entry in BACKENDS.values():
        if entry.offers == EVERY and entry.module in sys.modules:
            sys.modules[entry.module].discard_compiled()


def load(names: Collection[str] = SIDES) -> dict[str, Backend]:
    """Import the backends of these names, and settle devices, threads and what Keras runs on: name -> module.

    Raises ParityError naming the extra when a package is missing, and KerasTaken as `settle_keras`. Warns once where
    the process has run an operation before, so that threads can no longer be set.
    """
    for name, entry in BACKENDS.items():
        packages = (entry.package, *(["keras"] if entry.keras else []))
        if name in names and (missing := next((one for one in packages if not _installed(one)), "")):
            both = ', or "parity[cpu]" for both frameworks' if name in SIDES else ""
            raise ParityError(f'{missing} is not installed: run python -m pip install "parity[{entry.extra}]"{both}')
    settle_keras(names)
    _hide_triton()
    modules, new = dict[str, Any](), False
    with quiet_import():
        # A pair of two Keras models still imports torch first, if it is there: the next pair may need it.
        before = {first for name in names for first in BACKENDS[name].after}
        for name, entry in BACKENDS.items():
            if name in names or (name in before and _installed(entry.package)):
                new = new or entry.module not in sys.modules
                modules[name] = importlib.import_module(entry.module)
                if name == "torch":
                    _import_triton()
        notes = "; ".join(filter(None, (backend.prepare() for backend in modules.values())))
    if notes and not UNSETTLED:
        UNSETTLED.append(notes)
        warnings.warn(f"{notes}: checks may be slower", stacklevel=2)
    if new:
        _calm_collector()
    return {name: modules[name] for name in names}


def _calm_collector() -> None:
    """Keep the garbage collector from scanning all that the frameworks hold: that took a tenth of a whole check.

    Python scans for every 700 objects that stay, and tracing makes them by the million; and for a second at exit.
    """
    gc.freeze()
    gc.set_threshold(max(10_000, gc.get_threshold()[0]), *gc.get_threshold()[1:])
    atexit.unregister(gc.freeze)  # once, however often backends are loaded
    atexit.register(gc.freeze)


def of(builds: Mapping[str, Callable[[], Any]]) -> dict[str, Backend]:
    """Side -> the backend of its build; of a builder alone, the one that is called as the side. Raises as `load`."""
    names = {side: Build.of(build).backend or side for side, build in builds.items()}
    loaded = load({*names.values()})
    return {side: loaded[name] for side, name in names.items()}


def installed() -> list[str]:
    """The names of the trainable backends whose packages are installed; of Keras's, only the one that it runs on."""
    own = keras_backend()
    names = [name for name, entry in BACKENDS.items() if Trainable in entry.offers and entry.keras in ("", own)]
    return [name for name in names if _installed(BACKENDS[name].package)]


def keras_backend() -> str:
    """What Keras runs on in this process, "tensorflow" or "jax", or is going to; "" where neither is installed."""
    if "keras" in sys.modules:
        return str(sys.modules["keras"].backend.backend())
    there = [entry.keras for entry in BACKENDS.values() if entry.keras and _installed(entry.package)]
    return os.environ.get("KERAS_BACKEND") or next(iter(there), "")


def keras_side() -> str:
    """The backend on which Keras models are that may run on any: what Keras runs on here, or else TensorFlow."""
    own = keras_backend()
    return next((name for name, entry in BACKENDS.items() if entry.keras and entry.keras == own), SIDES[1])


def settle_keras(names: Iterable[str]) -> None:
    """Have Keras run on what these backends need. Raises KerasTaken where it already runs on another."""
    for name in names:
        wanted = BACKENDS[name].keras
        if not wanted:
            continue
        taken = sys.modules["keras"].backend.backend() if "keras" in sys.modules else CHOSEN or wanted
        if taken != wanted:
            message = f"{name} needs Keras on {wanted}, but this process has it on {taken}"
            raise KerasTaken(f"{message}: set KERAS_BACKEND={wanted} before Keras is imported", wanted, bool(CHOSEN))
        os.environ["KERAS_BACKEND"] = wanted  # for the processes, too, that this one starts
        if wanted == "jax":
            # Without it JAX makes float32 of every float64; it is read when jax is imported.
            os.environ["JAX_ENABLE_X64"] = "1"


def _installed(package: str) -> bool:
    return package in sys.modules or importlib.util.find_spec(package) is not None


def _hide_triton() -> None:
    """Where TensorFlow has been imported first, keep torch from importing triton: its library kills the process then.

    torch's CUDA wheels bring triton and do without it where there is none.
    """
    if "tensorflow" in sys.modules and importlib.util.find_spec("triton") is not None:
        sys.modules.setdefault("triton", None)  # type: ignore[arg-type] # Python's own way to say that there is none


def _import_triton() -> None:
    """Import triton, where torch's CUDA wheels have brought it, before TensorFlow is; see `_hide_triton`."""
    if "tensorflow" not in sys.modules and importlib.util.find_spec("triton") is not None:
        with contextlib.suppress(ImportError):  # torch does without, too
            importlib.import_module("triton")


@contextlib.contextmanager
def quiet_import(passes: Callable[[bytes], bytes] = lambda _: b"") -> Iterator[None]:
    """Hold back what the frameworks' C++ writes to standard error on import, unless it fails.

    Of what was held back, `passes` gives what is written all the same, at the end.

    The collector is off meanwhile: it takes a fifth of the time and finds nothing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    collecting = gc.isenabled()
    gc.disable()
    if sys.stderr is None:  # closed by whoever started us
        yield
        return
    sys.stderr.flush()
    saved = os.dup(2)  # the file descriptor, because C++ does not write to `sys.stderr`
    try:
        with tempfile.TemporaryFile() as silence:
            os.dup2(silence.fileno(), 2)
            try:
                yield
            except Exception:  # raised again; what was held back is printed before, as it may say why
                silence.seek(0)
                os.write(saved, silence.read())
                raise
            finally:
                os.dup2(saved, 2)
            silence.seek(0)
            os.write(saved, passes(silence.read()))
    finally:
        os.close(saved)
        if collecting:
            gc.enable()
