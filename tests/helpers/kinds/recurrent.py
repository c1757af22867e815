"""Recurrent layers: cells, directions, depths."""

from collections.abc import Callable
from typing import Any

from tests.helpers.kinds.ways import Case, first, gates, never_backwards, one_by_one, plain, turned, written


def deep(kind: str, cells: int) -> Case:
    """Two layers in two directions, which in Keras are two layers."""
    return Case(
        lambda nn: {"a": getattr(nn, kind)(24, 7, 2, bidirectional=True, batch_first=True)},
        lambda keras: [
            keras.Bidirectional(getattr(keras, kind)(7, return_sequences=True, name="inner"), name=f"a.{depth}")
            for depth in (0, 1)
        ],
        (first, one_by_one),
        14,
        written("backward_layer.cell.recurrent_kernel", gates(cells), 1),
    )


def recurrent(kind: str, **given: Any) -> Case:
    name = {"RNN": "SimpleRNN"}.get(kind, kind)
    change = {"LSTM": gates(4), "GRU": gates(3), "RNN": turned}[kind]
    bias = given.pop("bias", True)
    settings = {"use_bias": bias, **({"activation": given["nonlinearity"]} if given else {})}
    return Case(
        lambda nn: {"a": getattr(nn, kind)(24, 7, batch_first=True, bias=bias, **given)},
        lambda keras: [getattr(keras, name)(7, return_sequences=True, name="a", **settings)],
        (first, plain),
        7,
        written("cell.recurrent_kernel", change),
    )


def directed(kind: str, fault: Callable[..., None]) -> Case:
    name = {"RNN": "SimpleRNN"}.get(kind, kind)
    return Case(
        lambda nn: {"a": getattr(nn, kind)(24, 7, bidirectional=True, batch_first=True)},
        lambda keras: [keras.Bidirectional(getattr(keras, name)(7, return_sequences=True, name="inner"), name="a")],
        (first, plain),
        14,
        fault,
    )


def _stacked(keras: Any) -> Any:
    return keras.StackedRNNCells([keras.LSTMCell(7, name=name) for name in ("0", "1")], name="cells")


RECURRENT = {
    "lstm": recurrent("LSTM"),
    "lstm without bias": recurrent("LSTM", bias=False),
    "gru": recurrent("GRU"),
    "gru without bias": recurrent("GRU", bias=False),
    "rnn": recurrent("RNN"),
    "rnn of relu without bias": recurrent("RNN", nonlinearity="relu", bias=False),
    "bidirectional lstm": directed("LSTM", written("backward_layer.cell.bias", gates(4))),
    "bidirectional gru": directed("GRU", written("forward_layer.cell.bias", gates(3))),
    "bidirectional rnn": directed("RNN", never_backwards),
    "deep bidirectional gru": deep("GRU", 3),
    "deep lstm": Case(
        lambda nn: {"a": nn.LSTM(24, 7, 2, batch_first=True)},
        lambda keras: [keras.RNN(_stacked(keras), return_sequences=True, name="a")],
        (first, plain),
        7,
        lambda layer: written("kernel", gates(4), 1)(*layer.cell.cells),
    ),
}
