"""The models of a pair in every precision as they are built: asked whether they run, and linked."""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from parity import backends
from parity.backends.protocol import BackendModel, Recordable, Trainable
from parity.canonical.form import Form
from parity.canonical.weights import Weights, drawn
from parity.dtypes import PRECISIONS, Array, Inputs, precisions
from parity.errors import ParityError
from parity.inputs.batch import Batch
from parity.pair import carried, constants, memory, normed, transfer, validation
from parity.pair.carried import Carried, Values
from parity.pair.computed import Linker
from parity.pair.exercised import Exercised
from parity.pair.link_proof import LinkProof, Unlinked
from parity.pair.pair import Pair

Of = tuple[str, str]  # a corner's side and dtype


class Assembly:
    """The models of a pair, two sides in each dtype.

    `models` is (side, dtype) -> model, `builds` side -> how its model is made, and `layout` the canonical parameters
    that both share. Layers are linked in float32 alone; the other dtypes are built afterwards, by the forms that the
    links give. Raises ParityError where a side cannot be built, does not run on what the pair says, lacks the
    memory or cannot be linked, and where neither side has a float64 corner.

    A side that cannot run in float64 has no such corner: `weaker` says why, and every square stands
    on three corners. Where only its loss cannot, `weaker_loss` says why, and what goes by the loss does.
    Of a pair that is judged with the weights that its models have, every variable is a parameter, by its
    own name; no layer has a twin, and there is no layout.
    """

    def __init__(self, pair: Pair, dtypes: Sequence[str] = PRECISIONS, low_memory: bool = False) -> None:
        self.pair, self.sides, self.dtypes = pair, pair.sides, precisions(dtypes)
        self.tokenizer: Any = pair.vocabulary() if pair.inputs is None else None
        self.pad: int | None = self.tokenizer.pad if self.tokenizer else None
        self.builds = dict(pair.builds)
        self.backends = backends.of(self.builds)
        self.models: dict[Of, BackendModel] = {}
        for side in self.sides:
            self.models[side, "float32"] = self._model(side, "float32")
            memory.ask_to_build(pair.name, self.models[side, "float32"])
        self.lean = low_memory or memory.scarce(self.models[self.sides[0], "float32"])
        # Before the other models are built, which takes as much as a check.
        (memory.save if self.lean else memory.keep)()
        if self.pad is None:
            self._leave_caches()
            validation.alike({side: self._probed(side, self.models[side, "float32"]) for side in self.sides})
        self.exercised = Exercised(pair, self.models)
        self._linking = Unlinked(self.models, self.builds, {}) if pair.own_weights else self._linked()
        self.layout = self._linking.layout
        self.exercised.leave_layers_out(self._linking.left_out, self.layout)
        self._given = {side: self._initial(side) for side in self.sides} if self.layout and self._related() else {}
        for side in self.sides if self.pad is not None else ():
            self._probed(side, self.models[side, "float32"])
            validation.takes(side, self.models[side, "float32"], pair.length)
        self.weaker, self.weaker_loss = dict[str, str](), dict[str, str]()
        for side, dtype in product(self.sides, self.dtypes):
            if dtype != "float32":
                self._add(side, dtype)
        if len(self.weaker_loss) == len(self.sides):  # one float64 that is no more than float32 serves both
            self.weaker_loss = {self.sides[1]: "; ".join(self.weaker_loss.values())}
        if len(lacking := self.weaker_loss | self.weaker) == len(self.sides):
            raise ParityError(
                "; ".join((*lacking.values(), "without one float64 corner there is nothing to measure against"))
            )
        self.reason = "; ".join(self.weaker.values())
        trained = [self.models[side, "float32"] for side in self.sides if not pair.lacking((Trainable,))]
        settled = constants.settle(self.models, self.sides, self._written) if trained and not self.weaker else {}
        constants_of = [model.constants() for model in trained] or [{}, {}]
        self.constants = constants.compare(dict(zip(self.sides, constants_of, strict=True)), settled)

    def _linked(self) -> LinkProof:
        """Link both sides' layers; a side's float32 model may be built anew for it."""
        linking = Linker(self.models, self.builds, self.pair.links or {}, self._model, self._sample)()
        for side, other in (self.sides, self.sides[::-1]):
            for path in self.builds[side].normed:
                how = f"g and v of a weight norm are trained in its place, as {other} has them"
                self.exercised.leave_out(f"training of the plain weight of {side}'s {path}", how)
        return linking

    def _sample(self) -> Batch:
        """The batch on which links are proved: fixed random ids, or the pair's plainest specimen."""
        if not self.tokenizer:
            return Batch(self.pair.plainest, None, None)
        ids = np.random.default_rng(0).integers(0, self.tokenizer.vocab, (2, validation.LEAST))
        return Batch(ids, None, np.ones(ids.shape, bool))

    def _written(self, side: str) -> dict[str, Array]:
        """The constants that a side's code writes down, as one run of its float64 model has them, by their names."""
        if self.pair.lacking((Recordable,)):
            return {}
        trace = self.models[side, "float64"].record(self.builds[side].sample).trace
        constants = {of.leaf: of.array for of in trace.values if of.leaf.startswith("constant")}
        return {name: array for name, array in constants.items() if array is not None}

    def _leave_caches(self) -> None:
        """Leave out the tensors of one side in places where the other gives an object that is no tensor, as a cache.

        That side's float32 model is built anew, and its build says so for the other dtypes.
        """
        # Nothing is lost by going on: a model that does not run is refused a few lines later, with its own error.
        with contextlib.suppress(Exception):  # what does not run is told of when it is probed
            outputs = {side: self.models[side, "float32"].outputs(self.pair.specimens[-1]) for side in self.sides}
            for side, other in (self.sides, self.sides[::-1]):
                unread = tuple(self.models[other, "float32"].unread)
                if unread and any(place.startswith(unread) for place in outputs[side]):
                    self.builds[side] = replace(self.builds[side], unread=unread)
                    self.models[side, "float32"] = self._model(side, "float32")

    def _model(self, side: str, dtype: str) -> BackendModel:
        """Build one side's model in a dtype. Raises ParityError where the user's builder fails."""
        return self.backends[side].Model(self.builds[side], dtype, self.pad)

    def _initial(self, side: str) -> Values:
        """The values that a side's builder gave its model, by its own layers: links may leave out rows of a table."""
        model, build = self.models[side, "float32"], self.builds[side]
        model.rename(Form(), ())
        values = model.read()
        model.rename(build.form, build.nodes)
        return values

    def _related(self) -> bool:
        """Whether the two sides' initial values were made from one another: a pair that was converted."""
        return carried.related(*(self._by_links(side) for side in self.sides))

    def _by_links(self, side: str) -> Mapping[str, Array]:
        """The values that a side's builder gave its model, by the links in use; valid until anything is written."""
        return self.models[side, "float32"].parameters()

    def _loaded(self) -> list[Values]:
        """Each side's builder's values by canonical parameter, by the links in use."""
        return [self._formed(side) for side in self.sides]

    def _carried(self) -> Carried | None:
        """The builders' values of a converted pair, by the links in use; None of a pair that was not converted."""
        if not self._given:
            return None
        values = {side: self._formed(side) for side in self.sides}
        for at, side in enumerate(self.sides):
            links = [self._links_of({at: [path]}) for path in self.builds[side].normed]
            groups = [[name for name in values[side] if name.rpartition(".")[0] in of] for of in links]
            values = normed.with_lengths(values, side, groups)
        one, other = (self._linking.idle[side] for side in self.sides)
        paths = {link.ours for link in self._linking.links if link.ours in one and link.theirs in other}
        names = {name: name.rpartition(".")[0] for name in values[self.sides[0]]}
        idle, formed = (frozenset(name for name, at in names.items() if at in of) for of in (paths, self._computed()))
        return Carried(values, idle, formed)

    def _computed(self) -> set[str]:
        """The links of whose layers a side computes its weights."""
        of = [[name.rpartition(".")[0] for name in self.models[side, "float32"].computed] for side in self.sides]
        return self._links_of({at: [*of[at], *self.builds[side].normed] for at, side in enumerate(self.sides)})

    def _links_of(self, paths: Mapping[int, Collection[str]]) -> set[str]:
        """The links of layers at these paths of the first side, 0, or of the second, 1, by the first side's paths.

        Those of the parameters of a layer that was broken into them among these.
        """
        of = [tuple(f"{path}." for path in paths.get(at, ())) for at in range(2)]
        links = self._linking.links
        return {on.ours for on in links if f"{on.ours}.".startswith(of[0]) or f"{on.theirs}.".startswith(of[1])}

    def _formed(self, side: str) -> Values:
        """A builder's values, read by the links in use; this writes them to the model."""
        model, build, values = self.models[side, "float32"], self.builds[side], self._given[side]
        model.rename(Form(), ())
        model.write(values)
        model.rename(build.form, build.nodes)
        return model.read()

    def _probed(self, side: str, model: BackendModel) -> dict[str, Array]:
        """Run a model once: place -> output. Raises ParityError where it does not do what the pair says."""
        if self.tokenizer:
            return validation.answers(side, model, self.tokenizer.vocab, self.tokenizer.pad)
        return validation.gives(side, model, self.pair.specimens[-1], bool(self.pair.loss))

    def _add(self, side: str, dtype: str) -> None:
        """Add a side's model in a dtype; where float64 does not run, note why in `weaker` instead.

        Raises ParityError where another dtype than float64 does not run.
        """
        model, problem, loss = self._tried(side, dtype)
        # Promotion asks every operation for float64: one that has none may run without it.
        if problem and dtype == "float64" and self.builds[side].promote:  # an operation that has no float64, perhaps
            self.builds[side] = replace(self.builds[side], promote=False)
            model, problem, loss = self._tried(side, dtype)
        if loss and not problem:
            self.weaker_loss[side] = f"the loss of {side} cannot run in float64: {loss}"
        if model and not problem:
            self.models[side, dtype] = model
        elif dtype != "float64":
            raise ParityError(f"{side} cannot run in {dtype}: {problem}; leave {dtype} out")
        else:
            self.weaker[side] = f"{side} cannot run in float64: {problem}"

    def _tried(self, side: str, dtype: str) -> tuple[BackendModel | None, str, str]:
        """Build and probe a corner: (the model or None, what keeps it from its dtype, what keeps its loss from it).

        Either text is empty where nothing does. Errors are returned, not raised.
        """
        try:
            model = self._model(side, dtype)
            if self.pair.own_weights:
                transfer.precise(side, model)
                model.copy_parameters_from(self.models[side, "float32"])
            else:
                transfer.layout(side, model)
            self._probed(side, model)
            if dtype != "float64":
                return model, "", ""
            values = model.read() if self.pair.own_weights else drawn(self.layout, Weights(0, 1.0))
            weights = partial(self.given, -1)
            return model, *validation.narrow(model, values, self.tokenizer, weights, self.pair.loss is not None)
        except ParityError as error:
            return None, str(error), ""

    def spread(self) -> None:
        """Every other dtype takes the parameters of its side's float32."""
        for (side, dtype), model in self.models.items():
            if dtype != "float32":
                model.copy_parameters_from(self.models[side, "float32"])

    def given(self, place: int) -> tuple[Any, Any]:
        """Inputs and targets of the specimen `place`, modulo how many the pair has."""
        inputs = self.pair.specimens[place % len(self.pair.specimens)]
        return inputs, self._targets(inputs)

    def _targets(self, inputs: Inputs) -> Inputs:
        """Targets for the loss: the inputs where the pair has a loss of its own, which finds its targets among them.

        Else fixed standard normal float32 numbers, one array for each floating-point output, of its shape.
        """
        if self.pair.loss:
            return inputs
        # The same for every example and on both sides: a target that changes would be a difference of its own.
        random = np.random.default_rng(0)
        arrays = self.models[self.sides[0], "float32"].outputs(inputs).values()
        return tuple(random.standard_normal(a.shape).astype(np.float32) for a in arrays if a.dtype.kind == "f")
