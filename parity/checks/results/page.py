"""What is found can be shown: as text, as JSON, as an HTML page, and in a notebook."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from parity.files import replacing, suffix


class Page:
    """A result that can be shown; a subclass says how by `document`, `to_html` and `printed`."""

    def document(self) -> dict[str, Any]:
        """What is written as JSON, and what a page is made of."""
        raise NotImplementedError

    def to_html(self) -> str:
        """One HTML page that needs nothing beside it. It holds no times."""
        raise NotImplementedError

    def printed(self) -> Sequence[str]:
        """The lines that the command line prints."""
        raise NotImplementedError

    def __str__(self) -> str:
        """As the command line prints it."""
        return "\n".join(self.printed())

    def _repr_html_(self) -> str:
        """The page, in a frame of its own, for a notebook."""
        return f'<iframe srcdoc="{escape(self.to_html())}" width="100%" height="600" style="border:0"></iframe>'

    def to_json(self) -> str:
        """Return the JSON document, schema 1. It holds no times: the same seed gives the same text."""
        from parity.report.document import text  # what is found is drawn by what knows of results

        return text(self.document())

    def save(self, path: str | Path) -> None:
        """Write it as JSON, or as an HTML page, by the path's ending, .json or .html.

        Raises ParityError for another ending, and where the file cannot be written.
        """
        path = Path(path)
        text = self.to_json() if suffix(path, (".json", ".html")) == ".json" else self.to_html()
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
