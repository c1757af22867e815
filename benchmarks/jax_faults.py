"""Faults planted in the reference pairs on JAX: `python -m benchmarks.jax_faults FAMILY,... PAIR,...`.

A trial of the self-test each, in this process: is it detected, placed, and its cause named? In an environment with
JAX; families are those of `parity selftest`.
"""

import os
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

from parity import backends

backends.load(["torch", "jax"])

from parity.checks import CHECKS  # noqa: E402 behind load(), which imports frameworks in the right order
from parity.selftest import chosen  # noqa: E402 as above
from parity.selftest.trial import Trial, Worker  # noqa: E402 as above


class Every(frozenset):  # type: ignore[type-arg] # it stands for every key that a check may read
    """What a check reads, where no clean run has said it: all."""

    def __and__(self, other):
        return other

    __rand__ = __and__


def main(names: list[str], pairs: list[str]) -> None:
    """Print what each fault came to, and how many so far were detected, placed, and had their cause named."""
    families, _ = chosen(None)
    faults = [fault for pair in pairs for name in names for fault in families[name] if fault.pair == pair]
    reads = {module.__name__.rpartition(".")[2]: Every(["model.outputs"]) for module in CHECKS}
    worker, detected, placed, named = Worker(), 0, 0, 0
    for number, fault in enumerate(faults, 1):
        begun = time.process_time()
        entry = worker(Trial(fault.pair, fault, reads=reads)).entry
        expected, actual = entry["expected"], entry["found"]
        place = bool(actual["where"]) and " and ".join(actual["where"]) == expected["where"]
        detected, placed = detected + bool(actual["check"]), placed + place
        named += place and actual["cause"] == expected["cause"]
        what = f"{actual['check']} {actual['where']} {actual['cause']} {entry['told']}"
        seconds = time.process_time() - begun
        print(f"{fault.pair:12} {fault.name:50} {what} {seconds:.0f} s of CPU", flush=True)
        print(f"{number} faults: {detected} detected, {placed} placed, {named} with their cause", flush=True)


if __name__ == "__main__":
    main(sys.argv[1].split(","), sys.argv[2].split(","))
