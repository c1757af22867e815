"""The steps of `parity.selftest.faults.pairs.code` by other operations: the same numbers, but for rounding."""
