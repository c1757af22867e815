"""What a diagnosis found, as a person reads it."""

from parity.checks.results import weaker
from parity.diagnose import Diagnosis
from parity.diagnose.layers.settings import KERAS
from parity.pair.links import by_order
from parity.pair.models import Corners


def why(corners: Corners, found: Diagnosis) -> tuple[str, ...]:
    """What `explain.diagnose` found, as a person reads it."""
    where = " and ".join(map(place, found.where))
    told = [f"introduced by {where}"] if where else []
    told += [weaker(found.weaker)] if found.weaker else []
    told += [_unlike(corners, path, *corners.unlike[path]) for path in found.where if path in corners.unlike]
    told += [f"cause: {cause.text}" for cause in found.causes]
    if found.operations:
        told.append(found.first)
    if unequal := corners.constants.unequal:
        told.append(unequal)
    for link in corners.unread:
        told.append(f"not proved: how {link.ours} and {link.theirs} hold the same numbers; custom= settles it")
    if corners.unproved:
        told.append(f"not proved: {by_order(corners.unproved)}; links= settles it")
    if not found.causes:
        told += [f"ruled out: {tried}" for tried in found.ruled_out]
    return (*told, *found.unsearched)


def _unlike(corners: Corners, path: str, ours: str, theirs: str) -> str:
    """Layers of two kinds that have the same parameters: what they compute is not the same, whatever else is."""
    one, other = corners.sides
    told = f"{path} is a {ours} in {one} and a {theirs} in {other}, with the same parameters"
    return f"{told}: {KERAS.get(ours, ours)} is what Keras calls {one}'s" if len(corners.frameworks) > 1 else told


def place(path: str) -> str:
    """A linked layer's path; the model itself has none."""
    return path or "the code between layers"
