"""The two sides of a pair: what each is called, which backend runs it, and what its model is made from.

Everything behind this module goes by a side's name. torch and tensorflow are the usual two, and nothing more: two
builds of one framework, or a model and the file that was exported from it, are a pair as well.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parity.backends import BACKENDS
from parity.errors import ParityError

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")  # begins names of files, and is a word of a line
# What JSON has beside the names of sides.
TAKEN = {"kind", "how", "rivals", "parameters", "settings", "shape", "layer", "differs", "both"}


@dataclass(frozen=True)
class Role:
    """A side: `backend` is the name of what runs it, and `source` what its model is made from, a builder as a rule."""

    backend: str
    source: Any


def roles(pair: str, fields: Mapping[str, Any]) -> dict[str, Role]:
    """Name -> role of the two sides, in the order of the backends.

    `fields` is backend -> source, a side that is called as its backend, or backend -> {name: source}. Raises
    ParityError, which names the pair, unless there are two sides, of names that can be told apart.
    """
    roles_found: dict[str, Role] = {}
    for backend in BACKENDS:
        sources = fields.get(backend)
        named = sources if isinstance(sources, Mapping) else {} if sources is None else {backend: sources}
        for name, source in named.items():
            if not isinstance(name, str) or not NAME.fullmatch(name) or name in TAKEN:
                raise ParityError(
                    f"{pair}: {name!r} cannot be the name of a side; take another word, of letters and digits"
                )
            if name in roles_found or (name in BACKENDS and name != backend):
                raise ParityError(f"{pair}: two sides would be called {name}; give each a name of its own")
            roles_found[name] = Role(backend, source)
    if len(roles_found) != 2:
        have = f"it has {', '.join(roles_found)}" if roles_found else "it has none"
        raise ParityError(
            f'{pair}: a pair has two sides, but {have}: give torch= and tensorflow=, or one of them as {{"old": '
            'builder, "new": builder}'
        )
    return roles_found
