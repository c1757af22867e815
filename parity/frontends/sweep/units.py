"""What a sweep consists of: units, each one check of one pair at one seed in one environment."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Unit:
    """One check of one pair at one seed in one environment; `number` is its place in the grid."""

    number: int
    pair: str
    seed: int
    check: str
    environment: str
    examples: int
    dtypes: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """All units of a sweep. They are counted, not held: a million take no more memory than ten.

    `checks` has the names of each pair's checks, `seeds` is the first and the last. Units of one environment, and in
    it of one pair, follow each other, since a worker keeps the models of the pair that it had last.
    """

    checks: Mapping[str, Sequence[str]]
    seeds: tuple[int, int]
    environments: tuple[str, ...]
    examples: int
    dtypes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.environments) * self._of_one_environment

    @property
    def _of_one_environment(self) -> int:
        first, last = self.seeds
        return (last - first + 1) * sum(map(len, self.checks.values()))

    def units(self, environment: str) -> Iterator[Unit]:
        """The units of an environment, in order: by pair, then by seed, then by check."""
        number = self.environments.index(environment) * self._of_one_environment
        for pair, checks in self.checks.items():
            for seed in range(self.seeds[0], self.seeds[1] + 1):
                for check in checks:
                    yield Unit(number, pair, seed, check, environment, self.examples, self.dtypes)
                    number += 1

    def document(self) -> dict[str, Any]:
        """The grid as JSON has it; two of the same text have the same units under the same numbers."""
        document: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return document
