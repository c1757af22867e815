"""Faults in LiteRT graphs: `python -m benchmarks.lite_faults FOLDER`. Is each detected, and placed at its operator?

Converts two networks into FOLDER, one for pictures and one for signals, and the reference models, checks that the
files hold as they are, and then plants one fault at a time in the file's own flatbuffer: an attribute, a default in the
place of a value, a padding, a fused activation, an axis, an epsilon, a constant, weights that went through half
precision, a lost bias, gates in another order, another operator. What float32 does not show, a change of no more than
a ten-thousandth of the largest output, is none. With names behind FOLDER, such as pictures, these alone.
"""

import sys
from pathlib import Path

from benchmarks.planted import Tally
from parity.backends import load


def main(folder: Path, *names: str) -> int:
    """Print what each fault came to, and the shares; 1 where something is missed."""
    load(["tensorflow", "litert"])
    from benchmarks import lite_planting as planting  # it imports what load() has just imported in the right order

    tally = Tally()
    for name in names or planting.NAMES:
        tally.clean(name, planting.pair(name, planting.convert(name, folder)))
        for family, node, path in planting.planted(name, folder):
            tally.fault(name, family, node, planting.pair(name, path))
    return tally.conclude()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
