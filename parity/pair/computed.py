"""Links of a pair whose layers compute a weight of others: by that weight, or by what it is computed of.

Either side may do so, and the other hold the one or the others; some such models have to be built anew for that.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from parity.backends.build import Build
from parity.backends.protocol import BackendModel
from parity.canonical.custom import CUSTOM
from parity.canonical.form import Form
from parity.inputs.batch import Batch
from parity.pair import normed
from parity.pair.link_proof import NEARER, LinkProof
from parity.pair.nearness import Nearness

Models = dict[tuple[str, str], BackendModel]  # by side and dtype


class Linker:
    """Links the float32 models of a pair's two sides, `models`, made by its `builds`, both of which it changes.

    Where a model is built anew, by `make(side, dtype)`, its build says so for the other dtypes. `by_user` has links
    that are given, and `sample` the batch by which two ways to link are compared.
    """

    def __init__(
        self,
        models: Models,
        builds: dict[str, Build],
        by_user: Mapping[str, str],
        make: Callable[[str, str], BackendModel],
        sample: Callable[[], Batch],
    ) -> None:
        self._models, self._builds, self._given, self._make, self._sample = models, builds, by_user, make, sample
        self._sides = tuple(builds)

    def __call__(self) -> LinkProof:
        """Link both sides' layers, by computed weights or, where the other side has them so, by what they are of.

        Layers that are computed and have no counterpart are taken apart, if all layers have one then. Where both fit,
        as beside a layer of the other side's own code, that is taken by which the outputs are `NEARER`.
        """
        builds, models = dict(self._builds), dict(self._models)
        linking = LinkProof(self._models, self._builds, self._given)
        left = {side: {*of} for side, of in linking.left_over.items()}
        chosen = left if any(left.values()) else self._beside_own_code(linking)
        paths = {side: tuple(sorted(self._computing(side) & chosen[side])) for side in self._sides}
        if not any(paths.values()):
            return self._normed(linking, builds) if any(left.values()) else linking
        gap = np.inf if any(left.values()) else self._gap(linking)
        apart = {side: replace(builds[side], apart=paths[side]) for side in self._sides}
        self._builds |= apart
        built = models | {(side, "float32"): self._make(side, "float32") for side in self._sides if paths[side]}
        other = self._anew(apart, built)
        if any(other.left_over.values()):
            return self._anew(builds, models)
        if gap == np.inf:
            return other
        # Measuring a distance tries links, which are to be tried again by whoever settles them.
        return self._anew(*((apart, built) if NEARER * self._gap(other) < gap else (builds, models)))

    def _computing(self, side: str) -> set[str]:
        """The paths of a side's layers that compute a weight."""
        return {name.rpartition(".")[0] for name in self._models[side, "float32"].computed}

    def _beside_own_code(self, linking: LinkProof) -> dict[str, set[str]]:
        """Side -> its layers whose counterpart is one of the other side's own code."""
        own = [{of.path for of in self._models[side, "float32"].own if of.kind == CUSTOM} for side in self._sides]
        ours = {link.ours for link in linking.links if link.theirs in own[1]}
        theirs = {link.theirs for link in linking.links if link.ours in own[0]}
        return dict(zip(self._sides, (ours, theirs), strict=True))

    def _gap(self, linking: LinkProof) -> float:
        """How near both sides' float32 outputs come by any of the links. The models keep their weights."""
        models = [(side, self._models[side, "float32"]) for side in self._sides]
        for _, model in models:
            model.rename(Form(), ())
        before = [model.read() for _, model in models]
        for side, model in models:
            model.rename(self._builds[side].form, self._builds[side].nodes)
        nearness = Nearness(self._models, self._builds, self._sample, lambda: linking.layout)
        linking.settle(lambda: (True, nearness()), nearness)
        gap = nearness()
        for (side, model), values in zip(models, before, strict=True):
            model.rename(Form(), ())
            model.write(values)
            model.rename(self._builds[side].form, self._builds[side].nodes)
        return gap

    def _normed(self, linking: LinkProof, builds: Mapping[str, Build]) -> LinkProof:
        """Link layers whose weight one side holds as g and v, if all layers have a counterpart then.

        `builds` are those from before the layers were linked.
        """
        models = dict(self._models)
        for side, plain in list(normed.plans(linking, models, self._builds)):
            self._builds[side] = replace(builds[side], normed=plain)
            built = models | {(side, "float32"): self._make(side, "float32")}
            linking = self._anew({**builds, side: self._builds[side]}, built)
            if not any(linking.left_over.values()):
                return linking
            linking = self._anew(builds, models)
        return linking

    def _anew(self, builds: Mapping[str, Build], models: Models) -> LinkProof:
        """Link float32 models, some of which links gave another form before; they and their builds are in use then."""
        self._builds |= builds
        self._models |= models
        for side, build in builds.items():
            self._models[side, "float32"].rename(build.form, build.nodes)
        return LinkProof(self._models, self._builds, self._given)
