"""torch's functions by name: what they are called with, which write, and which one could take for another."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import resolve_name
from torch.utils import _pytree as pytree

# Operations that take the same, and that one can mistake for each other.
SIBLINGS = (
    *((f"max_pool{rank}d", f"avg_pool{rank}d") for rank in (1, 2, 3)),
    *((f"adaptive_max_pool{rank}d", f"adaptive_avg_pool{rank}d") for rank in (1, 2, 3)),
    ("mean", "sum", "amax", "amin", "max", "prod", "norm", "logsumexp"),
    ("std", "var"),
    ("floor", "round", "ceil", "trunc"),
    ("softmax", "log_softmax"),
    (
        "relu",
        "relu6",
        "gelu",
        "silu",
        "elu",
        "selu",
        "leaky_relu",
        "hardswish",
        "hardsigmoid",
        "softplus",
        "softsign",
        "mish",
        "sigmoid",
        "tanh",
    ),
    ("sin", "cos"),
    ("log", "log2", "log10", "log1p"),
    ("exp", "expm1"),
    ("sqrt", "rsqrt"),
    ("add", "sub", "__add__", "__sub__"),
    ("mul", "div", "__mul__", "__truediv__"),
    ("maximum", "minimum"),
    ("argmax", "argmin"),
    ("cumsum", "cumprod"),
)

RECURRENT = (
    "lstm",
    "gru",
    "rnn_tanh",
    "rnn_relu",
)  # which read past a state that does not fit; meta tensors do not tell
MOST = 2**26  # numbers that an edited call may make: 512 MB in float64
KEPT = 2**14  # answers of `refused` that are remembered; then all are forgotten
_REFUSED: dict[Any, str] = {}


def writes(function: Callable[..., Any]) -> bool:
    """Whether it changes its first argument."""
    name = getattr(function, "__name__", "")
    return name == "__setitem__" or name.startswith("__i") or (name.endswith("_") and not name.endswith("__"))


def named(name: str) -> Any:
    """A function by its name, of a tensor and more."""
    return next(getattr(room, name) for room in (torch, functional, torch.Tensor) if hasattr(room, name))


def name(function: Callable[..., Any]) -> str:
    """A function's name without its modules, as "softmax"; a property's is that of the attribute."""
    whole = resolve_name(function) or getattr(function, "__name__", str(function))
    parts = whole.removesuffix(".__get__").split(".")
    return f"{parts[-1]}"


def arguments(function: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> list[str]:
    """The argument's name of each leaf."""
    paths, _ = pytree.tree_flatten_with_path((args, kwargs))
    names = list(known(function, args, kwargs))
    whole = [*names[: len(args)], *(str(place) for place in range(len(names), len(args)))]
    return [str(path[1].key) if path[0].idx else whole[path[1].idx] for path, _ in paths]


def known(function: Callable[..., Any], args: Sequence[Any], kwargs: Iterable[str] = ()) -> dict[str, Any]:
    """Argument -> default, None where there is none, of the form of a function that takes these.

    A window, as of a spectrogram, has a second form: https://pytorch.org/docs/stable/generated/torch.hann_window.html
    """
    window = getattr(function, "__name__", "").endswith("_window")
    kinds = tuple("list" if isinstance(one, list | tuple) else type(one).__name__ for one in args)
    return _parameters(function, kinds, tuple(sorted(kwargs))) | ({"periodic": True} if window else {})


def changed(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], changes: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The positional and named arguments of a call with some replaced by name; absent positional ones are added."""
    names = list(known(function, args, kwargs))[: len(args)]
    args = [changes.get(name, value) for name, value in zip_longest(names, args, fillvalue="")]
    return args, {**kwargs, **{name: value for name, value in changes.items() if name not in names}}


@lru_cache(512)
def _parameters(function: Callable[..., Any], kinds: tuple[str, ...], named: tuple[str, ...]) -> dict[str, Any]:
    """By the signature, or the schema of the operator of that name: the first form that fits."""
    try:
        parameters = inspect.signature(function).parameters.values()
        if all(of.kind in (of.POSITIONAL_OR_KEYWORD, of.KEYWORD_ONLY) for of in parameters):
            return {of.name: None if of.default is of.empty else of.default for of in parameters}
    except (TypeError, ValueError):
        pass
    forms = [
        form
        for form in torch._C._jit_get_schemas_for_operator(f"aten::{getattr(function, '__name__', '')}")
        if sum(not argument.kwarg_only for argument in form.arguments) >= len(kinds)
    ]
    fitting = [form for form in forms if _fits(form.arguments, kinds, named)]
    return {argument.name: argument.default_value for form in (*fitting, *forms)[:1] for argument in form.arguments}


def _fits(arguments: Sequence[Any], kinds: Sequence[str], named: Sequence[str]) -> bool:
    """Whether a form takes lists and words where they are, and all that is named."""
    lists = ["List" in str(argument.type) for argument in arguments]
    words = [str(argument.type) in ("bool", "str", "Optional[str]") for argument in arguments]
    known = {argument.name for argument in arguments}
    return {*named} <= known and all(
        (kind != "list" or is_list) and (kind in ("bool", "str")) == is_word
        for kind, is_list, is_word in zip(kinds, lists, words, strict=False)
    )


def bare(leaf: Any) -> Any:
    """An argument without its numbers: what a tensor's are like, and no device that has any."""
    if isinstance(leaf, torch.device):
        return torch.device("meta")
    if not torch.is_tensor(leaf) or leaf.layout != torch.strided or leaf.is_nested:
        return leaf
    return torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device="meta")


def dry(function: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> list[Any]:
    """Run a function on arguments without numbers: its tensors; raises what it does where arguments do not fit."""
    args, kwargs = pytree.tree_map(bare, (args, kwargs))
    with torch.device("meta"), torch.no_grad():
        result = function(*args, **kwargs)
    return [leaf for leaf in pytree.tree_leaves(result) if torch.is_tensor(leaf)]


def refused(function: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> str:
    """Why arguments do not fit together, or would fill the memory; empty where they do: some kernels trust them.

    A kernel that does may read past an array. The answer hangs on shapes alone, not on numbers, and is kept: most edits
    change numbers, and an operation that torch takes apart costs much without them.
    """
    leaves, nesting = pytree.tree_flatten((args, kwargs))
    key = function, repr(nesting), *map(_like, leaves)
    if key not in _REFUSED:
        if len(_REFUSED) >= KEPT:
            _REFUSED.clear()
        _REFUSED[key] = _refused(function, args, kwargs)
    return _REFUSED[key]


def _like(leaf: Any) -> Any:
    """A key of what decides whether an argument fits: a tensor's shape, strides and dtype, or a value's text."""
    if torch.is_tensor(leaf) and leaf.layout == torch.strided and not leaf.is_nested:
        return tuple(leaf.shape), leaf.stride(), leaf.dtype
    return type(leaf), repr(leaf)


def _refused(function: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> str:
    try:
        count = sum(tensor.numel() for tensor in dry(function, args, kwargs))
    except NotImplementedError:  # another function than that of the run
        return ""
    except Exception as error:  # noqa: BLE001 whatever torch raises of arguments is why they do not fit
        return f"{name(function)}: {error}"
    return f"{name(function)} makes more than {MOST} numbers" if count > MOST else ""


def fits(function: Callable[..., Any], args: Sequence[Any]) -> bool:
    """Whether arguments fit together, as torch.nn's recurrent layers ask before they call a function that does not."""
    if getattr(function, "__name__", "") not in RECURRENT:
        return True
    packed = not isinstance(args[3], bool)
    data, sizes = args[0], args[1]
    states, weights, biases, layers, _, _, both, *first = args[1 + packed :]
    states = states if isinstance(states, list | tuple) else [states]
    count, least = layers * (2 if both else 1), 4 if biases else 2
    if data.ndim != (2 if packed else 3) or len(weights) not in (count * least, count * (least + 1)):
        return False
    rows = int(sizes[0]) if packed else data.shape[0 if first[0] else 1]
    units = (weights[1].shape[1], weights[0].shape[0] // 4)  # of the output, and of an LSTM's cell
    known = data.shape[-1] == weights[0].shape[1] and (not packed or int(sizes.sum()) == len(data))
    return known and all(tuple(state.shape) == (count, rows, size) for state, size in zip(states, units, strict=False))
