"""What the measurements have in common: a JSON file of their figures, and a quiet end by Ctrl-C."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from parity.files import replacing


def write(figures: dict[Any, Any], path: Path | None) -> None:
    """Write the figures, if a file was named."""
    if path is not None:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(figures, indent=2) + "\n")


def run(main: Callable[[], None]) -> None:
    """Run a measurement; 130 when it was interrupted."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
