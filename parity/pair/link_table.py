"""A pair's links as a whole: what is linked to what, how that was found, what is unmatched, which settings differ."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from parity import backends
from parity.backends.hooks import Call
from parity.backends.protocol import BackendModel
from parity.canonical.transforms import Transform
from parity.dtypes import Array, Inputs
from parity.errors import ParityError, users_own
from parity.pair.constants import Constants, compare
from parity.pair.link_proof import LinkProof
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from parity.pair.twins import Link


@dataclass(frozen=True)
class Twin:
    """A link with its canonical parameters: name -> (shape, the transform of each side), and settings that differ.

    `settings` is name -> each side's value, of the settings that layers of its kind have on both sides.
    """

    link: Link
    parameters: Mapping[str, tuple[tuple[int, ...], tuple[str, str]]]
    settings: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class LinkTable:
    """Every link in the first side's order; side -> the layers with parameters that have no twin, in words.

    `unproved` are links that only an order tells, where no order makes the outputs agree.
    """

    pair: str
    sides: tuple[str, str]
    twins: list[Twin]
    left_over: Mapping[str, Mapping[str, str]]
    unproved: tuple[Link, ...]
    constants: Constants

    @property
    def settled_by_links(self) -> bool:
        """Whether links= may settle what is open: an order is unproved, or unmatched layers have equal parameters."""
        ours, theirs = ({*of.values()} for of in self.left_over.values())
        return bool(self.unproved or ours & theirs)

    @property
    def holds(self) -> bool:
        """Whether every layer with parameters has one twin, beyond doubt."""
        return not self.unproved and not any(self.left_over.values())


def survey(pair: Pair) -> LinkTable:
    """Link both sides of a pair. Raises ParityError where they cannot be built, or links= names what there is not.

    And of a pair whose models keep the weights that they have: nothing is linked.
    """
    if pair.own_weights:
        raise ParityError(f'{pair.name}: weights="given" judges the models without links; leave it out to see them')
    builds = dict(pair.builds)
    loaded = backends.of(builds)
    sides = pair.sides
    pad = pair.vocabulary().pad if pair.inputs is None else None
    models = {(side, "float32"): loaded[side].Model(builds[side], "float32", pad) for side in sides}
    linking = LinkProof(models, builds, pair.links or {})
    links, unproved, left_over = linking.links, linking.unproved, linking.left_over
    # Running takes both models in float64; what lacks a counterpart cannot be run, and the table says that anyway.
    if linking.doubtful and not any(left_over.values()):  # a run proves them
        corners = PairModels(pair)
        links, unproved, models = corners.links, corners.unproved, corners.models
    built = {side: models[side, "float32"] for side in sides}
    settings = {side: settings_of(model, builds[side].sample) for side, model in built.items()}
    constants = compare({side: model.constants() for side, model in built.items()})
    twins = [_twin(link, built, settings) for link in links]
    return LinkTable(pair.name, sides, twins, left_over, unproved, constants)


def _twin(link: Link, models: Mapping[str, BackendModel], settings: Mapping[str, Mapping[str, dict[str, Any]]]) -> Twin:
    """A link with what the table shows of it: each parameter's shape, both transforms, and settings that differ."""
    values = next(iter(models.values())).read()
    parts = [_transforms(model, link.ours) for model in models.values()]
    parameters = {
        name: (values[f"{link.ours}.{name}"].shape, (parts[0][name].name, parts[1][name].name)) for name in parts[0]
    }
    ours, theirs = (of.get(link.ours, {}) for of in settings.values())
    both = {name: (ours[name], theirs[name]) for name in ours if name in theirs}
    unequal = {name: of for name, of in both.items() if _single(of[0]) != _single(of[1])}
    return Twin(link, parameters, unequal)


def _transforms(model: BackendModel, path: str) -> dict[str, Transform]:
    layer = next(layer for layer in model.layers if layer.path == path)
    return {part.parameter: part.transform for part in layer.parts}


@dataclass
class _Seen:
    """A watch that remembers the settings of each layer that is called, and changes nothing."""

    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def before_call(self, path: str, _: list[Array]) -> None:
        """Nothing is known yet."""

    def after_call(self, call: Call) -> None:
        # "seen" is an array, an attention's mask: no setting of the layer but of this call.
        settings = call.settings().items()
        self.settings[call.path] = {name: _plain(value) for name, value in settings if name != "seen"}


def _plain(value: Any) -> Any:
    """A setting as both sides would say it: a function by its name."""
    return getattr(value, "__name__", value)


def _single(value: Any) -> Any:
    """A setting of one value along every axis as that value: a convolution over two axes may be one over one."""
    several = isinstance(value, tuple) and len({*value}) == 1
    return value[0] if several else value


def settings_of(model: BackendModel, sample: Inputs) -> dict[str, dict[str, Any]]:
    """Path -> a layer's settings, as one run on a sample shows them. Raises ParityError where it cannot be run."""
    seen = _Seen()
    with users_own("the model cannot be run on a sample"):
        model.run_with_hooks(sample, [layer.path for layer in model.layers], seen)
    return seen.settings
