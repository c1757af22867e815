"""A pair's links in use: every TensorFlow layer goes by its torch twin's path and kind, and what can be
doubted is proved by running."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from parity.backends import SIDES
from parity.backends.build import Build
from parity.backends.protocol import Corner
from parity.canonical.custom import CUSTOM
from parity.canonical.layer import Layout
from parity.pair import links, transfer
from parity.pair.links import Link

NEARER = 16.0  # times: where both sides differ anyway, one set of links of several is a little nearer by chance


class Linking:
    """The links of a pair's models, by (side, dtype), and of its builds, by side, which are renamed here."""

    def __init__(
        self, models: dict[tuple[str, str], Corner], builds: dict[str, Build], given: Mapping[str, str]
    ) -> None:
        self._models, self._builds = models, builds
        sides = {side: models[side, "float32"] for side in SIDES}
        for side, model in sides.items():
            transfer.layout(side, model)  # what it refuses cannot be linked
        found = {side: links.side_of(model, builds[side].sample) for side, model in sides.items()}
        self._others = links.found(found[SIDES[0]], found[SIDES[1]], given)
        self.links = next(self._others)
        self.unproved: tuple[Link, ...] = ()
        self.idle = {side: of.idle for side, of in found.items()}
        self._own = {side: (model.layers, model.nodes()) for side, model in sides.items()}
        self._name(self.links)
        layouts = {side: transfer.layout(side, model) for side, model in sides.items()}
        self.layout: Layout = transfer.agree(layouts, self.idle)

    def settle(self, apart: Callable[[], tuple[bool, float]]) -> None:
        """Try other links, if there are any, until the outputs agree; or the first stand, or far nearer ones.

        `apart` says whether the outputs differ, and how far they are apart.
        """
        other = next(self._others, None)
        if other is None and all(link.how != "order" for link in self.links):
            return
        fails, least = apart()
        best = self.links
        while fails and other is not None:
            self._name(other)
            fails, gap = apart()
            if not fails or NEARER * gap < least:
                best, least = other, gap
            other = next(self._others, None)
        self.links = best
        self._name(best)
        self.unproved = tuple(link for link in best if link.how == "order") if fails else ()

    @property
    def unlike(self) -> dict[str, tuple[str, str]]:
        """Torch's path -> both kinds of twins that are of two, neither of them of the user's own."""
        kinds = [{layer.path: layer.kind for layer in self._own[side][0]} for side in SIDES]
        both = {link.torch: (kinds[0][link.torch], kinds[1][link.tensorflow]) for link in self.links}
        return {path: of for path, of in both.items() if of[0] != of[1] and CUSTOM not in of}

    def _name(self, found: list[Link]) -> None:
        """Call TensorFlow's layers by the paths of their torch twins, and both by one kind, in every build.

        By their places: what Keras calls a layer by itself is another name in another build.
        """
        for side, (layers, _) in self._own.items():
            self._rename(side, kinds=links.layer_kinds(layers, found, side))
        (_, ours), (layers, theirs) = self._own.values()
        paths = links.layer_paths([layer.path for layer in layers], found)
        self._rename(SIDES[1], paths=paths, nodes=links.node_paths(ours, theirs, found))

    def _rename(self, side: str, **names: tuple[str, ...]) -> None:
        self._builds[side] = build = replace(self._builds[side], **names)  # type: ignore[arg-type]
        for (of, _), model in self._models.items():
            if of == side:
                model.rename(build.paths, build.kinds, build.nodes)


class Unlinked:
    """In the place of `Linking`: no layer has a twin, whatever it is called, and the models share no parameter."""

    def __init__(self, models: dict[tuple[str, str], Corner], builds: dict[str, Build], _: Mapping[str, str]) -> None:
        self.links: list[Link] = []
        self.unproved: tuple[Link, ...] = ()
        self.unlike: dict[str, tuple[str, str]] = {}
        self.layout: Layout = {}
        ours, theirs = (models[side, "float32"].nodes() for side in SIDES)
        nodes = tuple(f"{path} of {SIDES[1]}" if path and path in ours else path for path in theirs)
        builds[SIDES[1]] = build = replace(builds[SIDES[1]], nodes=nodes)
        models[SIDES[1], "float32"].rename(build.paths, build.kinds, build.nodes)

    def settle(self, apart: Callable[[], tuple[bool, float]]) -> None:
        """There is nothing to settle."""
