"""What is drawn for a terminal, as lines of plain text."""

from collections.abc import Callable
from io import StringIO

from rich.console import Console

from parity.errors import visible


def lines(draw: Callable[[Console], None]) -> list[str]:
    """What is drawn on a console, as lines of 100 columns at most in a table, without colours or trailing blanks."""
    written = StringIO()
    # In a notebook Rich would show it, whatever file it is given.
    draw(Console(file=written, width=100, color_system=None, highlight=False, markup=False, force_jupyter=False))
    return [line.rstrip() for line in visible(written.getvalue()).rstrip("\n").split("\n")]
