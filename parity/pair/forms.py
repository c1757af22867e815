"""The forms of both sides from links: every parameter in one canonical form, by each link in one of several ways."""

from collections.abc import Sequence
from dataclasses import replace

from parity.canonical.custom import CUSTOM
from parity.canonical.form import Form, FormLayer, Permuted, Reading, Rows, Source, View, as_they_are
from parity.canonical.layer import Layer
from parity.pair.carried import Values
from parity.pair.links import Guess
from parity.pair.orders import Orders, Place, permuted
from parity.pair.related import Match, Option
from parity.pair.sides import choices
from parity.pair.twins import Link

Own = tuple[Sequence[Layer], Sequence[Layer]]  # each side's layers as its framework has them


def forms(guess: Guess, own: Own) -> tuple[Form, Form]:
    """Make each side's form. Unmatched layers stay as they are, but for those that the guess leaves out.

    Of a layer that one side lacks and that does nothing at 0 and 1, the other side gets one that is `held` at those
    values, so that both have the same parameters.
    """
    layers: tuple[list[FormLayer], list[FormLayer]] = ([], [])
    for link in guess.links:
        for place, formed in enumerate(_formed(guess, link, own)):
            layers[place].append(formed)
    used = [{at for of in side for reading in of.readings for at, _ in reading.sources} for side in layers]
    for place, side in enumerate(own):
        left = [at for at, of in enumerate(side) if of.parts and at not in used[place]]
        for at in left:
            path = side[at].path
            if path in guess.lacking[place]:
                ours = [Reading(part.parameter, ((at, n),), held=True) for n, part in enumerate(side[at].parts)]
                shapes = dict(guess.sides[place].layers[path][1])
                theirs = [Reading(name, (), shape=shape, held=True) for name, shape in shapes.items()]
                layers[place].append(FormLayer(path, side[at].kind, tuple(ours)))
                layers[1 - place].append(FormLayer(path, side[at].kind, tuple(theirs)))
            elif path not in guess.left_out[place]:
                layers[place].extend(as_they_are([at], side))
    return Form(tuple(layers[0]), guess.opened), Form(tuple(layers[1]), guess.opened)


def turned(guess: Guess) -> dict[str, tuple[int, ...]]:
    """Parameters of the user's own layers that are linked with their axes exchanged, though their shapes are equal.

    As a rule a square matrix: by its shape either side may have stored it either way, so that a model that reads it the
    wrong way round is equal to one that stores it so. Canonical name -> shape.
    """
    parameters: dict[str, tuple[int, ...]] = {}
    for link in guess.links:
        signatures = guess.key(link)
        options = choices(guess.sides, (link.ours, link.theirs)) if {of[0] for of in signatures} == {CUSTOM} else []
        for match in options[guess.ways.get(signatures, 0)].matches if options else ():
            shapes = [dict(of[1]).get(name or "") for of, name in zip(signatures, match.names, strict=True)]
            moved = isinstance(match.view, View) and not match.view.plain
            if moved and shapes[0] is not None and shapes[0] == shapes[1]:
                parameters[f"{link.ours}.{match.names[match.lead]}"] = shapes[0]
    return parameters


def starts(guess: Guess) -> tuple[int, ...]:
    """By these links, the row of each layer's longer table from which on it holds the shorter one's; 0 of others."""
    ways = [
        (choices(guess.sides, (link.ours, link.theirs)), guess.ways.get(guess.key(link), 0)) for link in guess.links
    ]
    return tuple(options[way].start if options else 0 for options, way in ways)


def as_loaded(guess: Guess, values: Sequence[Values]) -> Orders:
    """The orders by which one side's loaded parameters are the other's, permuted along an axis, bit for bit.

    `values` is each side's canonical values, by the guess's own forms. Only parameters that are one array of the model
    itself are looked at, and those that are equal as they stand are in none.
    """
    moved: dict[Place, tuple[int, tuple[int, ...]]] = {}
    for link in guess.links:
        paths = (link.ours, link.theirs)
        options = choices(guess.sides, paths)
        for match in options[guess.ways.get(guess.key(link), 0)].matches if options else ():
            lead, name = match.lead, match.names[match.lead] or ""
            both = [of.get(f"{link.ours}.{name}") for of in (values if lead == 0 else values[::-1])]
            alone = len(guess.sides[lead].parts(paths[lead], name)) == 1
            if alone and both[0] is not None and both[1] is not None and (order := permuted(both[0], both[1])):
                moved[lead, paths[lead], name] = order
    return moved


def _formed(guess: Guess, link: Link, own: Own) -> tuple[FormLayer, FormLayer]:
    """The two linked layers as canonical ones, both under the first side's path."""
    paths, places = (link.ours, link.theirs), (_places(own[0]), _places(own[1]))
    ways = choices(guess.sides, paths)
    if not ways:  # only their paths link them, so that what differs is told side by side
        both = [as_they_are([places[n][paths[n], None][0]], own[n])[0] for n in range(2)]
        return both[0], FormLayer(link.ours, both[1].kind, both[1].readings)
    option = ways[guess.ways.get(guess.key(link), 0)]
    readings: tuple[list[Reading], list[Reading]] = ([], [])
    for match in option.matches:
        for place in range(2):
            readings[place].append(_reading(match, place, guess, paths, places[place], option))
    leads = {guess.key(link)[match.lead][0] for match in option.matches if None not in match.names}
    # The axes' names of a known kind serve drawing weights, by fan-in; of an unknown one nothing is assumed.
    kind = CUSTOM if CUSTOM in leads else link.kind  # whose axes these are
    return FormLayer(link.ours, kind, tuple(readings[0])), FormLayer(link.ours, kind, tuple(readings[1]))


def _reading(
    match: Match,
    place: int,
    guess: Guess,
    paths: tuple[str, str],
    places: dict[object, Source],
    option: Option,
) -> Reading:
    """How the side at `place` reads one matched parameter from its own variables, under the leading side's name.

    The leading side's array is the canonical one; the other's is turned by the match's view. `places` gives where the
    side's own parameters stand.
    """
    sides = guess.sides
    side, path, name = sides[place], paths[place], match.names[place]
    lead = match.names[match.lead] or ""
    if name is None:
        return Reading(lead, (), shape=dict(sides[match.lead].layers[paths[match.lead]][1])[lead], held=True)
    parts, view, absent = side.parts(path, name), None if place == match.lead else match.view, None in match.names
    if path in side.longer:  # a table with more rows than its counterpart: only those that both have
        rows = Rows(side.shape(parts[0]), option.start, dict(side.layers[path][1])[name])
        return Reading(lead, (places[parts[0]],), (rows,), view=view)
    if path in side.stacks:  # parameters of one shape under a new first axis; any other view moves the whole
        shape, stack = side.shape(parts[0]), dict(side.layers[path][1])[name]
        views = (View(shape, shape, tuple(range(len(shape))), (1, *shape)),) * len(parts)
        view = view or View(stack, stack, tuple(range(len(stack))), stack)
        whole = replace(view, before=(len(parts), *shape))
        return Reading(lead, tuple(places[part] for part in parts), views, view=whole)
    if len(parts) == 1:
        moved = guess.orders.get((place, path, name))
        if moved:
            return Reading(lead, (places[parts[0]],), (Permuted(side.shape(parts[0]), *moved),), view=view, held=absent)
        return Reading(lead, (places[parts[0]],), (view,) if view else (), held=absent)
    # What is left are layers joined by their rows, as query, key and value, in an order and by blocks.
    parts = tuple(parts[at] for at in option.order)
    shapes = [side.shape(part) for part in parts]
    views = tuple(View(shape, shape, tuple(range(len(shape))), shape) for shape in shapes)
    return Reading(lead, tuple(places[part] for part in parts), views, option.blocks, view, held=absent)


def _places(own: Sequence[Layer]) -> dict[object, Source]:
    """Layer and parameter -> its places; layer and None -> that of the layer."""
    places: dict[object, Source] = {(of.path, None): (at, 0) for at, of in enumerate(own)}
    for at, of in enumerate(own):
        places.update({(of.path, part.parameter): (at, n) for n, part in enumerate(of.parts)})
    return places
