"""Where the specimens are: inside the installed package, or beside it in a checkout."""

from pathlib import Path

from parity.errors import ParityError


def fixture(name: str) -> Path:
    """The path of a specimen by its name below `fixtures/`. Raises ParityError if there is none."""
    package = Path(__file__).parents[1]
    # A wheel has them in the package (pyproject.toml puts them there); a checkout has them beside it.
    for root in (package / "specimens", package.parent / "fixtures"):
        if (root / name).exists():
            return root / name
    raise ParityError(f"the specimen {name} is missing; install parity again")
