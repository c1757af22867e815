"""A pair's links in use: every TensorFlow layer goes by its torch twin's path and kind, and what can be
doubted is proved by running."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from parity import links, transfer
from parity.backends import SIDES, Build, Corner
from parity.links import Link

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
        ours, theirs = (links.side_of(model, builds[side].sample) for side, model in sides.items())
        self._others = links.found(ours, theirs, given)
        self.links = next(self._others)
        self.unproved: tuple[Link, ...] = ()
        torch, tensorflow = sides.values()
        kinds = (links.layer_kinds(model.layers, self.links, side) for side, model in sides.items())
        self._own = [layer.path for layer in tensorflow.layers], tensorflow.nodes()
        self._ours = torch.nodes()
        for side, of in zip(SIDES, kinds, strict=True):
            self._rename(side, kinds=of)
        self._name(self.links)

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

    def _name(self, found: list[Link]) -> None:
        """Call TensorFlow's layers by the paths of their torch twins, in every build.

        By their places: what Keras calls a layer by itself is another name in another build.
        """
        layers, nodes = self._own
        self._rename(SIDES[1], paths=links.layer_paths(layers, found), nodes=links.node_paths(self._ours, nodes, found))

    def _rename(self, side: str, **names: tuple[str, ...]) -> None:
        self._builds[side] = build = replace(self._builds[side], **names)  # type: ignore[arg-type]
        for (of, _), model in self._models.items():
            if of == side:
                model.rename(build.paths, build.kinds, build.nodes)
