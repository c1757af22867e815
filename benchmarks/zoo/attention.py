"""Attention: torch's layer and Keras's, and heads that people write out themselves."""

import math

import keras
import torch
from keras import layers, ops
from torch import nn
from torch.nn import functional

from benchmarks.zoo.configured import Configured
from parity import Pair, strategies

TIME, WIDTH, HEADS = 5, 8, 2


class TorchSelf(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(WIDTH), nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, x):
        y = self.norm(x)
        return x + self.attention(y, y, y, need_weights=False)[0]


class KerasSelf(Configured):
    def __init__(self, causal=False, **kwargs):
        super().__init__(**kwargs)
        self.norm, self.causal = layers.LayerNormalization(epsilon=1e-5), causal
        self.attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)

    def call(self, x):
        y = self.norm(x)
        return x + self.attention(y, y, use_causal_mask=self.causal)


def keras_causal():
    return KerasSelf(causal=True)


class TorchCausal(TorchSelf):
    def forward(self, x):
        y, time = self.norm(x), x.shape[1]
        mask = torch.ones(time, time, dtype=torch.bool).triu(1)
        return x + self.attention(y, y, y, attn_mask=mask, need_weights=False)[0]


class TorchCrossed(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(WIDTH), nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, x, memory):
        return x + self.attention(self.norm(x), memory, memory)[0]


class KerasCrossed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm, self.attention = (
            layers.LayerNormalization(epsilon=1e-5),
            layers.MultiHeadAttention(HEADS, WIDTH // HEADS),
        )

    def call(self, x, memory):
        return x + self.attention(self.norm(x), memory)


class TorchWritten(nn.Module):
    """Query, key and value in one product, and the softmax written out."""

    def __init__(self, causal=False):
        super().__init__()
        self.norm, self.inner, self.outer = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.causal = causal

    def forward(self, x):
        batch, time, _ = x.shape
        parts = self.inner(self.norm(x)).view(batch, time, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        query, key, value = parts
        scores = query @ key.transpose(-2, -1) / math.sqrt(WIDTH // HEADS)
        if self.causal:
            scores = scores.masked_fill(torch.ones(time, time).triu(1).bool(), float("-inf"))
        y = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, time, WIDTH)
        return x + self.outer(y)


class KerasWritten(Configured):
    def __init__(self, causal=False, **kwargs):
        super().__init__(**kwargs)
        self.norm, self.inner = layers.LayerNormalization(epsilon=1e-5), layers.Dense(3 * WIDTH)
        self.outer, self.causal = layers.Dense(WIDTH), causal

    def call(self, x):
        parts = ops.reshape(self.inner(self.norm(x)), (-1, TIME, 3, HEADS, WIDTH // HEADS))
        query, key, value = ops.unstack(ops.transpose(parts, (2, 0, 3, 1, 4)))
        scores = ops.matmul(query, ops.swapaxes(key, -2, -1)) / math.sqrt(WIDTH // HEADS)
        if self.causal:
            scores = ops.where(ops.triu(ops.ones((TIME, TIME), "bool"), 1), -math.inf, scores)
        y = ops.transpose(ops.matmul(ops.softmax(scores), value), (0, 2, 1, 3))
        return x + self.outer(ops.reshape(y, (-1, TIME, WIDTH)))


def torch_written_causal():
    return TorchWritten(causal=True)


def keras_written_causal():
    return KerasWritten(causal=True)


class TorchFused(nn.Module):
    """One key and value for all queries, in torch's fused attention."""

    def __init__(self):
        super().__init__()
        self.norm, self.query = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH, bias=False)
        self.both, self.outer = nn.Linear(WIDTH, 2 * WIDTH // HEADS, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x):
        batch, time, _ = x.shape
        y = self.norm(x)
        query = self.query(y).view(batch, time, HEADS, -1).transpose(1, 2)
        key, value = (part[:, None].expand(-1, HEADS, -1, -1) for part in self.both(y).chunk(2, -1))
        y = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return x + self.outer(y.transpose(1, 2).reshape(batch, time, WIDTH))


class KerasFused(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm, self.query = layers.LayerNormalization(epsilon=1e-5), layers.Dense(WIDTH, use_bias=False)
        self.both, self.outer = layers.Dense(2 * WIDTH // HEADS, use_bias=False), layers.Dense(WIDTH, use_bias=False)

    def call(self, x):
        y, size = self.norm(x), WIDTH // HEADS
        query = ops.reshape(self.query(y), (-1, TIME, HEADS, size))
        key, value = ops.split(self.both(y), 2, -1)
        scores = ops.einsum("bqhd,bkd->bhqk", query, key) / math.sqrt(size)
        scores = ops.where(ops.tril(ops.ones((TIME, TIME), "bool")), scores, -math.inf)
        y = ops.einsum("bhqk,bkd->bqhd", ops.softmax(scores), value)
        return x + self.outer(ops.reshape(y, (-1, TIME, WIDTH)))


class TorchPooling(nn.Module):
    """A learned weight for each step, which sum up to one."""

    def __init__(self):
        super().__init__()
        self.hidden, self.score, self.head = nn.Linear(WIDTH, 6), nn.Linear(6, 1), nn.Linear(WIDTH, 3)

    def forward(self, x):
        weights = self.score(torch.tanh(self.hidden(x))).softmax(1)
        return self.head((weights * x).sum(1))


class KerasPooling(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.score = layers.Dense(6, activation="tanh"), layers.Dense(1)
        self.head = layers.Dense(3)

    def call(self, x):
        weights = ops.softmax(self.score(self.hidden(x)), 1)
        return self.head(ops.sum(weights * x, 1))


class TorchLinear(nn.Module):
    """Attention without a softmax: elu + 1 of queries and keys."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x):
        query, key = functional.elu(self.query(x)) + 1, functional.elu(self.key(x)) + 1
        memory = key.transpose(1, 2) @ self.value(x)
        return query @ memory / (query @ key.sum(1)[:, :, None] + 1e-6)


class KerasLinear(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.query, self.key, self.value = (layers.Dense(WIDTH) for _ in range(3))

    def call(self, x):
        query, key = ops.elu(self.query(x)) + 1, ops.elu(self.key(x)) + 1
        memory = ops.matmul(ops.swapaxes(key, 1, 2), self.value(x))
        return ops.matmul(query, memory) / (ops.matmul(query, ops.sum(key, 1)[:, :, None]) + 1e-6)


STEPS = strategies.arrays(TIME, WIDTH)
SIDES = {
    "self": (TorchSelf, KerasSelf),
    "causal": (TorchCausal, keras_causal),
    "written": (TorchWritten, KerasWritten),
    "written-causal": (torch_written_causal, keras_written_causal),
    "multi-query": (TorchFused, KerasFused),
    "pooling": (TorchPooling, KerasPooling),
    "linear": (TorchLinear, KerasLinear),
}


def crossed(model, inputs, training):
    return model(inputs["x"], inputs["memory"], training=training)


def crossed_torch(model, inputs, _):
    return model(inputs["x"], inputs["memory"])


PAIRS = (
    *(Pair(f"attention-{name}", *sides, inputs=STEPS) for name, sides in SIDES.items()),
    Pair(
        "attention-cross",
        TorchCrossed,
        KerasCrossed,
        inputs=strategies.together(x=STEPS, memory=strategies.arrays(7, WIDTH)),
        call={"torch": crossed_torch, "tensorflow": crossed},
    ),
)
