"""parity tests whether a PyTorch model and a TensorFlow/Keras model compute the same, and says where they do not."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from parity.errors import Mismatch, ParityError

if TYPE_CHECKING:
    from parity.api import assert_parity, check, locate
    from parity.canonical.transforms import TRANSPOSED, Transform
    from parity.checks.results import Report
    from parity.frontends.pytest_plugin.plugin import parametrize
    from parity.pair.outputs import judge_outputs
    from parity.pair.pair import Pair

__all__ = [
    "TRANSPOSED",
    "Mismatch",
    "Pair",
    "ParityError",
    "Report",
    "Transform",
    "assert_parity",
    "check",
    "compare",
    "judge_outputs",
    "locate",
    "parametrize",
]

# Public name -> the module that has it, imported when the name is first used.
_HOMES = {
    "TRANSPOSED": "canonical.transforms",
    "Pair": "pair.pair",
    "Report": "checks.results",
    "Transform": "canonical.transforms",
    "assert_parity": "api",
    "check": "api",
    "judge_outputs": "pair.outputs",
    "locate": "api",
    "parametrize": "frontends.pytest_plugin.plugin",
}


def __getattr__(name: str) -> Any:
    if name == "compare":  # the room, which can be called
        return import_module("parity.compare")
    if name not in _HOMES:
        raise AttributeError(f"module 'parity' has no attribute {name!r}")
    return getattr(import_module(f"parity.{_HOMES[name]}"), name)
