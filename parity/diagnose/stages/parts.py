"""What became of each part of a parameter that one side holds as several: query, key and value beside one for all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from parity.canonical.form import Reading, View
from parity.diagnose.layers.weight_relations import GATES
from parity.diagnose.layers.weights import Happened
from parity.diagnose.stages.own_orders import Values
from parity.dtypes import Array
from parity.pair.models import PairModels


@dataclass(frozen=True)
class Parts:
    """Canonical parameter -> how a side joins it of several of its own.

    A part goes by a layer of its own: "qkv[part 2 of 3].kernel" is the second of "qkv.kernel".
    """

    readings: Mapping[str, Reading]

    @cached_property
    def _places(self) -> dict[str, tuple[str, int]]:
        """A part's name -> the parameter, and which of its parts."""
        return {of: (name, place) for name in self.readings for place, of in enumerate(self._names(name))}

    def _names(self, name: str) -> list[str]:
        path, _, parameter = name.rpartition(".")
        count = len(self.readings[name].views)
        return [f"{path}[part {place} of {count}].{parameter}" for place in range(1, count + 1)]

    def opened(self, values: Values) -> dict[str, Array]:
        """Arrays by name, these parameters as their parts."""
        return {
            part: array
            for name, of in values.items()
            for part, array in (
                zip(self._names(name), self.readings[name].split(of), strict=True)
                if name in self.readings
                else ((name, of),)
            )
        }

    def kinds(self, kinds: Mapping[str, str]) -> dict[str, str]:
        """Every name's kind, the parts' too: one gate's kernel has no gates, and a query is no attention."""
        known = ("attention", *GATES)
        of_parts = {part: "dense" if kinds[name] in known else kinds[name] for part, (name, _) in self._places.items()}
        return {**kinds, **of_parts}

    def closed(self, values: Values, others: Values) -> dict[str, Array]:
        """Arrays by name as whole parameters: what is not among them of a parameter's parts is as in `others`."""
        whole = {name: array for name, array in values.items() if name not in self._places}
        split: dict[str, list[Array]] = {}
        for part in (of for of in values if of in self._places):
            name, place = self._places[part]
            split.setdefault(name, self.readings[name].split(others[name]))[place] = values[part]
        return {**whole, **{name: self.readings[name].join(arrays) for name, arrays in split.items()}}

    def gathered(self, changes: Sequence[Happened]) -> list[Happened]:
        """Changes of parts as of their parameters' layers; what happened to several parts alike is one."""
        together: dict[tuple[str, str, str], Happened] = {}
        order = [name for change in changes for name in change.names if name not in self._places] + [*self._places]
        for change in changes:
            whole = {self._places[name][0] if name in self._places else name for name in change.names}
            layer = min(whole).rpartition(".")[0]
            key = layer, change.cause, change.how
            first = together.get(key)
            merged = replace(change, layer=layer)
            if first is not None:
                largest = max(first.before, change.before), max(first.after, change.after)
                names = tuple(sorted((*first.names, *change.names), key=order.index))
                zero = first.zero and change.zero
                merged = replace(first, names=names, before=largest[0], after=largest[1], zero=zero)
            together[key] = merged
        return [*together.values()]


def parts_of(corners: PairModels) -> Parts:
    """The parameters that a side joins of several of its own, by their rows."""
    readings: dict[str, Reading] = {}
    for build in corners.builds.values():
        for layer in build.form.layers:
            for reading in layer.readings:
                rows = all(isinstance(view, View) and view.shape == view.before for view in reading.views)
                if len(reading.sources) > 1 and rows:
                    readings.setdefault(f"{layer.path}.{reading.parameter}", reading)
    return Parts(readings)
