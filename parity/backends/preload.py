"""Imported by the server that fresh processes are forked from: both frameworks, no operation."""

import contextlib
import importlib

from parity import backends

backends.load()
with contextlib.suppress(ImportError):  # torch.export.load imports it at its first call: two seconds a process
    importlib.import_module("torch.export.pt2_archive")
