"""Imported by the server that fresh processes are forked from: both frameworks, no operation."""

from parity import backends

backends.load()
