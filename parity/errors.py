"""The two ways parity stops: it was misused, or it found something. Imports nothing."""


class ParityError(Exception):
    """The harness was misused: a bad argument, a missing file, a model that cannot be read.

    The text is one line that says what is wrong, where, and what to do. The command line exits 2.
    """


class Mismatch(AssertionError):
    """A finding: the two sides differ where they promise to agree. The command line exits 1."""
