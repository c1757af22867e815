"""A pair's links in use: both sides' layers go by the first side's paths and are read alike.

What can be doubted is proved by running.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from parity.backends import BACKENDS
from parity.backends.build import Build
from parity.backends.protocol import BackendModel, Traceable
from parity.canonical.custom import CUSTOM
from parity.canonical.form import Form
from parity.canonical.layer import UNBUILT, Layer, Layout
from parity.canonical.opened import ATTENTION, CELLS, RECURRENT
from parity.pair import links, transfer
from parity.pair.carried import Values, equal
from parity.pair.containers import node_paths
from parity.pair.forms import as_loaded, forms, starts, turned
from parity.pair.links import Guess
from parity.pair.orders import Orders
from parity.pair.sides import Side, side_of
from parity.pair.twins import Link, describe

FEW = 6  # sets of links that are tried with the orders of what was loaded
NEARER = 16.0  # times: where both sides differ anyway, one set of links of several is a little nearer by chance


class LinkProof:
    """The links of a pair's models, by (side, dtype), and of its builds, by side, whose forms are made here.

    Of several sets of links that fit (guesses, the likeliest first) one is in use at a time: all models are renamed and
    read by it. `settle` tries the others where a run says that the outputs differ.
    """

    def __init__(
        self, models: dict[tuple[str, str], BackendModel], builds: dict[str, Build], by_user: Mapping[str, str]
    ) -> None:
        self._models, self._builds, self._sides, self._given = models, builds, tuple(builds), by_user
        self._own: dict[tuple[str, ...], dict[str, tuple[Sequence[Layer], Mapping[str, str]]]] = {}
        self._idle: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
        self._others = self._guesses()
        self._guess = next(self._others)
        self.unproved: tuple[Link, ...] = ()
        self.unread: tuple[Link, ...] = ()  # links of which no run says how both sides hold the same
        self._name(self._guess)

    def _guesses(self) -> Iterator[Guess]:
        """Sets of links, from every reading of attention and recurrent cells by which each layer has a counterpart.

        Where no reading links all layers, those of the plainest, which takes layers as their frameworks have them.
        """
        kinds = [Counter(layer.kind for layer in self._models[side, "float32"].own) for side in self._sides]
        # One side has torch's or Keras's attention as a layer, the other has written it out.
        attention = (ATTENTION,) * (kinds[0]["attention"] != kinds[1]["attention"])
        cells = RECURRENT if any(kinds[0][kind] != kinds[1][kind] for kind in CELLS) else ()
        readings: list[tuple[tuple[str, ...], Guess, Iterator[Guess]]] = []
        for words in (attention, *((*attention, way) for way in cells)):
            ours, theirs = self._read(words)
            guesses = links.guesses(ours, theirs, self._given)
            readings.append((words, replace(next(guesses), opened=words), guesses))
            if words == attention and not any(self._unmatched(readings[0][1]).values()):
                break
        whole = [reading for reading in readings if not any(self._unmatched(reading[1]).values())]
        for words, first, others in whole or readings[:1]:
            yield first
            yield from (replace(guess, opened=words) for guess in others)

    def _read(self, words: tuple[str, ...]) -> list[Side]:
        """Both sides' layers and flow, with attention or cells opened into the layers that `words` say.

        Every float32 model is renamed by that form on the way. Raises ParityError as `transfer.layout`.
        """
        sides = {side: self._models[side, "float32"] for side in self._builds}
        for side, model in sides.items():
            if words or self._own:
                self._rename(side, form=Form(opened=words))
            transfer.layout(side, model)  # what it refuses cannot be linked
        both = [side_of(side, model, self._builds[side].sample) for side, model in sides.items()]
        self._idle[words] = {side: {**of.idle, **_unbuilt(sides[side])} for side, of in zip(sides, both, strict=True)}
        self._own[words] = {side: (model.own, model.named_modules()) for side, model in sides.items()}
        return both

    @property
    def idle(self) -> dict[str, dict[str, str]]:
        """Side -> the layers that do nothing for its output -> why."""
        return self._idle[self._guess.opened]

    @property
    def links(self) -> list[Link]:
        """The links in use, in the first side's order."""
        return self._guess.links

    def settle(
        self,
        apart: Callable[[], tuple[bool, float]],
        gap: Callable[[], float],
        loaded: Callable[[], list[Values]] | None = None,
    ) -> None:
        """Try other links until the outputs agree; else keep the first, or any that bring them `NEARER` times closer.

        `apart` says whether the outputs differ, and the largest difference between them; `gap` the second alone, for
        less; `loaded`, of a pair that was converted, what both sides' builders gave by the links in use. What was laid
        out otherwise there is one more way to read it. And by which links the most parameters were loaded as their
        counterparts were decides where the outputs agree by none: a real bug must not be hidden by links that happen to
        fit it a little better.
        """
        if not self.doubtful and loaded is None:
            return
        fails, least = apart()
        # The cheap measure (`gap`) first, the whole run only where it promises something: most sets of links are far
        # off.
        best, tried = self._guess, [(self._guess, least)]
        if loaded is not None:
            # What was carried says most where only its order is another; at the end, of every set of links.
            self._others = chain(self._as_loaded(tried[:1], loaded), self._others, self._as_loaded(tried, loaded))
        while fails and (other := next(self._others, None)) is not None:
            self._name(other)
            tried.append((other, gap()))
            if tried[-1][1] < least:
                fails, largest = apart()
                if not fails or NEARER * largest < least:
                    best, least = other, largest
        message = self._told(tried, loaded) if fails and loaded is not None else None
        self._guess = best if message is None else message
        self._name(self._guess)
        near = [guess for guess, distance in tried if distance <= NEARER * least] if fails and message is None else []
        self.unproved = tuple(link for link in best.links if link.how == "order" and _open(link, near, tried))
        self.unread = tuple({best.key(link): link for link in best.links if _turns(link, best, near)}.values())

    def _as_loaded(self, tried: list[tuple[Guess, float]], loaded: Callable[[], list[Values]]) -> Iterator[Guess]:
        """The links that were tried, at most `FEW`, read with the orders in which parameters were loaded.

        Those first that explain the most parameters, one for each place of a longer table's rows. A set of links
        without any such order is not tried again. Of the orders some may be how the model reads, and others what is
        wrong with the conversion: they are tried together, each layer's alone, and all but one's.
        """
        guesses = list[tuple[int, Guess]]()
        for guess in [guess for guess, _ in tried if not guess.orders]:
            self._name(guess)
            values = loaded()
            moved = as_loaded(guess, values)
            guesses += [(len(moved) + equal(*values), replace(guess, orders=moved))] if moved else []
        likeliest = [guess for _, guess in sorted(guesses, key=lambda of: -of[0])]
        # Of a longer table that is shifted too, most is equal where the shift is taken for how it is read.
        first = [*{starts(guess): guess for guess in reversed(likeliest)}.values()]
        few = sorted(likeliest, key=lambda guess: guess not in first)[:FEW]
        every = (replace(guess, orders=some) for guess in few for some in _some(guess.orders))
        yield from (guess for guess in every if guess not in [of for of, _ in tried])

    def _told(self, tried: Sequence[tuple[Guess, float]], loaded: Callable[[], list[Values]]) -> Guess | None:
        """The one set of links by which most parameters are equal as loaded; None where two have as many.

        What was laid out otherwise is no fault where the outputs are nearer so.
        """
        plain = min(distance for guess, distance in tried if not guess.orders)
        guesses = [guess for guess, distance in tried if not guess.orders or distance < plain]
        counts = []
        for guess in guesses:
            self._name(guess)
            counts.append(equal(*loaded()))
        return guesses[counts.index(max(counts))] if len(guesses) > 1 and counts.count(max(counts)) == 1 else None

    @property
    def turned(self) -> dict[str, tuple[int, ...]]:
        """As `forms.turned`, by the links in use."""
        return turned(self._guess)

    @property
    def unlike(self) -> dict[str, tuple[str, str]]:
        """Links between layers of different kinds: the first side's path -> (its kind, the other's).

        Custom layers, whose kind the user's class says, are left out.
        """
        both = {link.ours: self._guess.key(link) for link in self.links}
        kinds = {path: (of[0][0], of[1][0]) for path, of in both.items()}
        return {path: of for path, of in kinds.items() if of[0] != of[1] and CUSTOM not in of}

    @property
    def left_out(self) -> dict[str, dict[str, str]]:
        """Side -> the layers without a counterpart that do nothing for the output -> why."""
        both = zip(self._sides, self._guess.left_out, strict=True)
        return {side: {**of, **_unbuilt(self._models[side, "float32"])} for side, of in both}

    @property
    def layout(self) -> Layout:
        """The canonical parameters that both sides share, by these links. Raises ParityError as `transfer.agree`."""
        layouts = {side: transfer.layout(side, self._models[side, "float32"]) for side in self._sides}
        return transfer.agree(layouts, self.idle)

    @property
    def left_over(self) -> dict[str, dict[str, str]]:
        """Side -> the layers that have no twin and should have one: path -> its kind and parameters."""
        return self._unmatched(self._guess)

    def _unmatched(self, guess: Guess) -> dict[str, dict[str, str]]:
        taken = [{link.ours for link in guess.links}, {link.theirs for link in guess.links}]
        explained = [{*out, *lacking} for out, lacking in zip(guess.left_out, guess.lacking, strict=True)]
        return {
            side: {path: describe(of) for path, of in layers.layers.items() if path not in known}
            for side, layers, known in zip(
                self._sides, guess.sides, (a | b for a, b in zip(taken, explained, strict=True)), strict=True
            )
        }

    @property
    def doubtful(self) -> bool:
        """Whether only a run says which links are right."""
        first = next(self._others, None)
        if first is not None:
            # It was taken to see whether there is one; it is put back.
            self._others = chain([first], self._others)
        return first is not None or any(link.how == "order" for link in self.links)

    def _name(self, guess: Guess) -> None:
        """Read both sides' layers by the forms of these links, in every build.

        By their places: what Keras calls a layer by itself is another name in another build.
        """
        (first, ours), (second, theirs) = self._own[guess.opened].values()
        formed = forms(guess, (first, second))
        one, other = self._sides
        self._rename(one, form=formed[0])
        self._rename(other, form=formed[1], nodes=node_paths(ours, theirs, guess.links, other))

    def _rename(self, side: str, form: Form, nodes: tuple[str, ...] = ()) -> None:
        """Give a side's build this form and these modules' names, and every model there is of it."""
        self._builds[side] = build = replace(self._builds[side], form=form, nodes=nodes)
        for (of, _), model in self._models.items():
            if of == side:
                model.rename(build.form, build.nodes)


class Unlinked:
    """In the place of `LinkProof`: no layer has a twin, whatever it is called, and the models share no parameter."""

    def __init__(
        self, models: dict[tuple[str, str], BackendModel], builds: dict[str, Build], _: Mapping[str, str]
    ) -> None:
        self.links: list[Link] = []
        self.unproved: tuple[Link, ...] = ()
        self.unread: tuple[Link, ...] = ()
        self.unlike: dict[str, tuple[str, str]] = {}
        self.layout: Layout = {}
        self.turned: dict[str, tuple[int, ...]] = {}
        self.left_out: dict[str, dict[str, str]] = {}
        self.idle: dict[str, dict[str, str]] = {}
        other = list(builds)[1]
        if not all(Traceable in BACKENDS[build.backend].offers for build in builds.values()):
            return
        ours, theirs = (models[side, "float32"].named_modules() for side in builds)
        nodes = tuple(f"{path} of {other}" if path and path in ours else path for path in theirs)
        builds[other] = build = replace(builds[other], nodes=nodes)
        models[other, "float32"].rename(build.form, build.nodes)

    def settle(
        self,
        apart: Callable[[], tuple[bool, float]],
        gap: Callable[[], float],
        loaded: Callable[[], list[Values]] | None = None,
    ) -> None:
        """There is nothing to settle."""


def _some(orders: Orders) -> Iterator[Orders]:
    """All of these orders, then those of each layer alone, and those of all layers but one."""
    layers = dict.fromkeys(of[:2] for of in orders)
    yield orders
    for alone in (True, False):
        for layer in layers if len(layers) > 2 - alone else ():
            yield {of: order for of, order in orders.items() if (of[:2] == layer) is alone}


def _open(link: Link, near: Sequence[Guess], tried: Sequence[tuple[Guess, float]]) -> bool:
    """Whether a link stays in doubt: another counterpart comes nearly as close (`near`), or none was `tried`.

    `near` is empty where the outputs agree, which leaves no doubt.
    """

    def same(guess: Guess) -> bool:
        return any((of.ours, of.theirs) == (link.ours, link.theirs) for of in guess.links)

    return bool(near) and (not all(map(same, near)) or all(same(guess) for guess, _ in tried))


def _turns(link: Link, best: Guess, near: Sequence[Guess]) -> bool:
    """Whether one of the nearly as close sets of links reads the two layers' parameters in another way."""
    return any(guess.way(link) != best.way(link) for guess in near)


def _unbuilt(model: BackendModel) -> dict[str, str]:
    """The layers that Keras gave no variables, since no call reaches them."""
    return {layer.path: "never called" for layer in model.own if layer.kind == UNBUILT}
