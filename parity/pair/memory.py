"""How much memory a pair takes, beside how much there is: said before it is taken. A killed process says nothing.

What is counted are arrays as large as the model; a forward's own are not known before it runs. Memory is in bytes, GB
in messages are 1e9 of them.
"""

import contextlib
import ctypes
import gc
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from parity.backends.protocol import BackendModel
from parity.errors import ParityError

# Bytes a parameter at their peak, measured on transformers of 13 and of 124 million parameters by `python -m
# benchmarks.peak`: to build the models, which hold 24 of them, and beyond those what a check takes, as a rule and where
# memory is saved.
# 24 bytes: float32 and float64 of two sides are 2 * (4 + 8); the rest is what building them takes for a moment.
BUILDING = 45
CHECKS = {"training": 135, "determinism": 120, "resume": 110, "weights": 30}
SAVING = {"training": 40, "weights": 10}
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # of mallopt(3), by the names that it has for them
BLOCKS = 1 << 16  # that glibc maps by themselves at most, where nothing else is said
OTHERS, OTHERS_SAVING = 45, 25  # two sets of gradients, in four corners each


def save() -> None:
    """Have freed memory go back to the system at once, which takes time, in this process and those that it starts.

    TensorFlow keeps what it frees by itself; it asks for this when it is imported.
    """
    os.environ["TF_ONEDNN_USE_SYSTEM_ALLOCATOR"] = "1"
    # glibc keeps freed blocks of up to 32 MB for the next that asks: a model's arrays would stay although nobody holds
    # them.
    # Blocks of 1 MiB and more are mapped by themselves then, and unmapped when they are freed.
    for option, value in ((TRIM_THRESHOLD, 1 << 20), (MMAP_THRESHOLD, 1 << 20), (MMAP_MAX, BLOCKS)):
        _glibc("mallopt", option, value)


def keep() -> None:
    """Have freed memory stay with this process, which soon asks for as much again.

    glibc maps each large block anew, and the system has to clear it: a third of what training takes on the
    64,000-piece LSTM, and two fifths of `weights`.
    """
    for option, value in ((TRIM_THRESHOLD, 2**31 - 1), (MMAP_MAX, 0)):
        _glibc("mallopt", option, value)


def give_back() -> None:
    """Have the system take back what nobody holds any more, models in circles of references among it."""
    gc.collect()
    trim()


def trim() -> None:
    """Have the system take back what was freed and stayed with this process."""
    _glibc("malloc_trim", 0)


def _glibc(name: str, *numbers: int) -> None:
    function = getattr(ctypes.CDLL(None), name, None)  # another C library has neither
    if function is not None:
        function(*numbers)


def scarce(model: BackendModel) -> bool:
    """Whether the checks would not find the memory that they take without `save`."""
    free = available()
    return free is not None and (BUILDING + max(CHECKS.values())) * parameters(model) > free


def parameters(model: BackendModel) -> int:
    """How many numbers a model's variables hold, without a look at their values; none of one that only runs."""
    variables = model.variables() if hasattr(model, "variables") else []
    return sum(math.prod(variable.shape) for _, variable in variables)


def ask_to_build(name: str, model: BackendModel) -> None:
    """Raise ParityError where building the models of a pair takes more memory than there is; `model` is the first."""
    count = parameters(model)
    need, free = BUILDING * count, available()
    if free is not None and need > free:
        raise ParityError(f"{_size(name, count)}: to build its models takes about {_told(need, free)}")


def ask(name: str, model: BackendModel, checks: Sequence[str], saving: bool = False) -> None:
    """Raise ParityError where one of these checks takes more memory, beyond the models, than there is.

    `model` is any float32 model of the pair; `saving` says that the pair runs in the way that saves memory.
    """
    count, free = parameters(model), available()
    known, rest = (SAVING, OTHERS_SAVING) if saving else (CHECKS, OTHERS)
    needs = {check: known.get(check, rest) * count for check in checks}
    above = [check for check in checks if free is not None and needs[check] > free]
    if above and free is not None:
        most = max(above, key=needs.__getitem__)
        others = [check for check in checks if check not in above]
        advice = f"; without {' and '.join(above)} the others can be asked for by --check or checks=" if others else ""
        raise ParityError(f"{_size(name, count)}: {most} takes about {_told(needs[most], free)}{advice}")


def _size(name: str, count: int) -> str:
    return f"{name} has {count:,} parameters"


def _told(need: int, free: int) -> str:
    return f"{need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are available"


def available(root: Path = Path("/")) -> int | None:
    """The bytes that this process may still take: the machine's, or what its control group leaves; None if unknown."""
    limits = [*_of_machine(root), *_of_groups(root)]
    return max(0, min(limits)) if limits else None


def _of_machine(root: Path) -> Iterator[int]:
    with contextlib.suppress(OSError, ValueError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) * 1024


def _of_groups(root: Path) -> Iterator[int]:
    """Bytes that each control group around this process leaves: every group above it limits it, too.

    A line of /proc/self/cgroup is `0::PATH` in version 2, and `N:CONTROLLERS:PATH` in version 1, where the memory
    controller has a tree of its own (Linux, man 7 cgroups).
    """
    with contextlib.suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            mount = root / "sys/fs/cgroup"
            if number == "0":
                place, names = mount / path.strip("/"), ("memory.max", "memory.current", "inactive_file")
            elif "memory" in controllers.split(","):
                mount = mount / "memory"
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                place = mount / path.strip("/")
            else:
                continue
            for group in (place, *place.parents):
                yield from _left(group, *names)
                if group == mount:
                    break


def _left(group: Path, most: str, used: str, cached: str) -> Iterator[int]:
    """Bytes that one group leaves: its limit less its usage; cached file pages that are inactive do not count as used.

    The kernel lets those go where memory is asked for. Nothing where the group has no limit.
    """
    with contextlib.suppress(OSError, ValueError):  # not there, or "max"
        limit, usage = (int((group / name).read_text()) for name in (most, used))
        lines = [line.split() for line in (group / "memory.stat").read_text().splitlines()]
        yield limit - usage + sum(int(size) for name, size in lines if name == cached)
