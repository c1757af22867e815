"""What JSON holds of figures and of values that are none of its own."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from parity.diagnosis import Layer


def text(document: Mapping[str, Any]) -> str:
    """A document as JSON; a value of another type than JSON's, such as a NumPy scalar, costs none."""
    return json.dumps(document, indent=2, allow_nan=False, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    try:
        item = value.item()  # of a NumPy scalar
    except (AttributeError, ValueError):
        return str(value)
    return number(item) if isinstance(item, float) else item


def layer_entry(layer: Layer) -> dict[str, Any]:
    """A layer as JSON holds it; one that was compared with nothing has no figures of that."""
    return {name: value for name, value in finite(asdict(layer)).items() if value is not None}


def finite(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry with its figures as JSON holds them."""
    return {name: number(value) if isinstance(value, float) else value for name, value in entry.items()}


def number(value: float) -> float | str:
    """A figure as JSON holds it: infinity and NaN as text."""
    # JSON has no infinity and no NaN, and a reader that accepts one is not to be relied on.
    return value if math.isfinite(value) else str(value)
