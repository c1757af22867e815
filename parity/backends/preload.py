"""Imported by the server that fresh processes are forked from: both frameworks, no operation.

The collector never looks at what is there then, or every process would write to all of that memory.
"""

import contextlib
import gc
import importlib

from parity import backends
from parity.backends import process

gc.disable()  # while there is nothing to collect
process.restore()
backends.load(backends.installed())
with contextlib.suppress(ImportError):  # torch.export.load imports it at its first call: two seconds a process
    importlib.import_module("torch.export.pt2_archive")
gc.enable()
gc.freeze()
