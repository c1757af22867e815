"""Benign twins."""

from parity.faults import Benign

TWINS: tuple[Benign, ...] = ()
