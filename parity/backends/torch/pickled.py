"""What `torch.save` writes of a state_dict, read without unpickling: no name in a file is looked up, nothing is called.

A pickle is a program. The few instructions that a state_dict needs are followed here, and give names and numbers;
where the numbers stand in the file is said by a `Tensor`. Every other instruction is refused.
"""

import pickletools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple


class Global(NamedTuple):
    """A name that a pickle refers to: a module and a name in it."""

    module: str
    name: str


class Storage(NamedTuple):
    """So many numbers in a member of the file; `kind` names their type, such as "FloatStorage"."""

    kind: str
    key: str
    length: int


class Tensor(NamedTuple):
    """Where the elements of a tensor are in a storage; `dtype` is empty where the storage tells it."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str


def read(data: bytes) -> Any:
    """Read a pickle: for a state_dict, name -> Tensor. Raises ValueError for what `torch.save` does not write.

    The dictionary has the versions of its modules as `_metadata`, as that of torch has.
    """
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(data):
        step = STEPS.get(opcode.name)
        if step is None:
            raise ValueError(f"a state_dict has no {opcode.name}")
        step(machine, argument)
    return machine.pop()


class _Machine:
    """Pickle's stack machine, as far as a state_dict needs it: `marks` are heights of the stack, `memo` what was kept.

    Every method raises ValueError where a pickle does what `torch.save` does not.
    """

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def push(self, item: Any) -> None:
        self.stack.append(item)

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("nothing is left to take")
        return self.stack.pop()

    def top(self) -> Any:
        """The item on top, which stays there."""
        self.push(item := self.pop())
        return item

    def above_mark(self) -> list[Any]:
        """Take the last mark, and all items above it."""
        if not self.marks:
            raise ValueError("there is no mark")
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def tuple_of(self, count: int) -> None:
        self.push(tuple(reversed([self.pop() for _ in range(count)])))

    def recall(self, place: int) -> None:
        if place not in self.memo:
            raise ValueError("nothing is remembered there")
        self.push(self.memo[place])

    def put_in(self, items: list[Any]) -> None:
        """Put keys and values, which alternate in `items`, into the dictionary on top."""
        target = self.top()
        if type(target) not in (dict, OrderedDict) or len(items) % 2:
            raise ValueError("that is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, int):  # the hash of nested tuples can take for ever
                raise ValueError("a name is neither text nor a number")
            target[key] = value

    def append(self, items: list[Any]) -> None:
        """Put items behind those of the list on top, as an optimizer's groups have."""
        target = self.top()
        if type(target) is not list:
            raise ValueError("that is no list")
        target += items

    def storage(self) -> None:
        """Replace a persistent id, ("storage", type, key, device, count), by a `Storage`."""
        what, kind, key, _, length = self.pop()
        if what != "storage" or type(kind) is not Global or type(key) is not str or type(length) is not int:
            raise ValueError("that is no storage")
        self.push(Storage(kind.name, key, length))

    def call(self) -> None:
        """Replace a function's name and its arguments by what our stand-in in `CALLS` gives; others are refused."""
        arguments, function = self.pop(), self.pop()
        if function not in CALLS or type(arguments) is not tuple:
            raise ValueError(f"a state_dict does not call {function!r:.80}")
        self.push(CALLS[function](*arguments))

    def attributes(self) -> None:
        """Set the one attribute that a state_dict has, the versions of its modules."""
        state, target = self.pop(), self.top()
        if type(target) is not OrderedDict or type(state) is not dict or set(state) != {"_metadata"}:
            raise ValueError("a state_dict has no attribute but _metadata")
        vars(target).update(state)


def _ordered() -> OrderedDict[str, Any]:
    return OrderedDict()


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, _: object, __: object, *more: Any) -> Tensor:
    """Stand for torch._utils._rebuild_tensor_v2, or _v3, which has a dtype; requires_grad and hooks are ignored."""
    dtype = next((item.name for item in more if type(item) is Global), "")
    if type(storage) is not Storage or not all(type(number) is int for number in (offset, *shape, *stride)):
        raise ValueError("that is no tensor")
    return Tensor(storage, offset, tuple(shape), tuple(stride), dtype)


def _parameter(tensor: Tensor, *_: object) -> Tensor:
    return tensor


CALLS: dict[Any, Callable[..., Any]] = {
    Global("collections", "OrderedDict"): _ordered,
    Global("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Global("torch._utils", "_rebuild_tensor_v3"): _tensor,
    Global("torch._utils", "_rebuild_parameter"): _parameter,
}


Step = Callable[[_Machine, Any], object]


def _pushing(value: object) -> Step:
    return lambda machine, _: machine.push(value)


def _taking(count: int) -> Step:
    return lambda machine, _: machine.tuple_of(count)


# Instruction -> what it does, given its argument. All others are refused.
STEPS: dict[str, Step] = {
    **dict.fromkeys(("PROTO", "STOP"), lambda _, __: None),
    **dict.fromkeys(
        ("BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        lambda machine, argument: machine.push(argument),
    ),
    "NONE": _pushing(None),
    "NEWTRUE": _pushing(True),
    "NEWFALSE": _pushing(False),
    "EMPTY_TUPLE": _pushing(()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.above_mark()),
    "GLOBAL": lambda machine, argument: machine.push(Global(*argument.split(" ", 1))),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.above_mark())),
    "TUPLE1": _taking(1),
    "TUPLE2": _taking(2),
    "TUPLE3": _taking(3),
    **dict.fromkeys(
        ("BINPUT", "LONG_BINPUT"), lambda machine, argument: machine.memo.update({argument: machine.top()})
    ),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda machine, argument: machine.recall(argument)),
    "SETITEM": lambda machine, _: machine.put_in([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.put_in(machine.above_mark()),
    "BINPERSID": lambda machine, _: machine.storage(),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.attributes(),
}
