"""What becomes of faults planted in files: is each detected, and placed at its node?"""

import time
from dataclasses import dataclass

from parity import Pair, api


@dataclass
class Tally:
    """Counts and prints: clean files that are called different, faults, and what was found of them."""

    false: int = 0
    total: int = 0
    detected: int = 0
    placed: int = 0

    def clean(self, name: str, pair: Pair) -> None:
        """A file as it was exported, beside its source."""
        report = api.check(pair, examples=5)
        self.false += not report.holds
        print(f"{name:12} clean: {'holds' if report.holds else report}", flush=True)

    def fault(self, name: str, family: str, node: str, pair: Pair) -> None:
        """A file with one fault, at a node."""
        begun = time.perf_counter()
        outcome = api.check(pair, checks=["forward"])["forward"]
        diagnosis = outcome.findings[0].diagnosis if outcome.findings else None
        at_node = diagnosis is not None and node in diagnosis.where[:1]
        self.total, self.detected = self.total + 1, self.detected + bool(outcome.findings)
        self.placed += at_node
        causes = [cause.name for cause in diagnosis.causes] if diagnosis else []
        verdict = "detected" if outcome.findings else f"MISSED {outcome.error}"
        where = "" if at_node else f" NOT PLACED: {diagnosis and diagnosis.where}"
        seconds = time.perf_counter() - begun
        print(f"{name:12} {family:10} {node:28} {verdict}{where} {causes} {seconds:.0f} s", flush=True)

    def conclude(self) -> int:
        """Print the shares; 1 where a clean file is called different, a fault missed, or more than 5 % misplaced."""
        print(f"{self.total} faults: {self.detected} detected, {self.placed} placed at their node")
        print(f"{self.false} clean files called different")
        return int(self.false > 0 or self.detected < self.total or self.placed < 0.95 * self.total)
