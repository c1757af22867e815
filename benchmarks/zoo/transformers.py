"""Transformers: encoders with the norm before and after, causal decoders, ViT, with rotary positions and RMS norms."""

from functools import partial

import keras
import numpy as np
import torch
from keras import layers, ops
from torch import nn

from benchmarks.zoo.calls import LAST
from benchmarks.zoo.configured import Configured
from parity import Pair, strategies

TIME, WIDTH, HEADS, INNER, VOCABULARY = 6, 8, 2, 13, 31


class TorchBlock(nn.Module):
    def __init__(self, before, causal):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.up, self.down = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.before, self.causal = before, causal

    def attend(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1]).to(x) if self.causal else None
        return self.attention(x, x, x, attn_mask=mask, need_weights=False)[0]

    def forward(self, x):
        if self.before:
            x = x + self.attend(self.norm1(x))
            return x + self.down(torch.relu(self.up(self.norm2(x))))
        x = self.norm1(x + self.attend(x))
        return self.norm2(x + self.down(torch.relu(self.up(x))))


class KerasBlock(layers.Layer):
    def __init__(self, before, causal, **kwargs):
        super().__init__(**kwargs)
        self.norm1, self.norm2 = (layers.LayerNormalization(epsilon=1e-5) for _ in range(2))
        self.attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)
        self.up, self.down = layers.Dense(INNER, activation="relu"), layers.Dense(WIDTH)
        self.before, self.causal = before, causal

    def attend(self, x):
        return self.attention(x, x, use_causal_mask=self.causal)

    def call(self, x):
        if self.before:
            x = x + self.attend(self.norm1(x))
            return x + self.down(self.up(self.norm2(x)))
        x = self.norm1(x + self.attend(x))
        return self.norm2(x + self.down(self.up(x)))


class TorchEncoder(nn.Module):
    """Tokens and positions, blocks, and logits of each place or of the whole."""

    def __init__(self, before=True, causal=False, whole=False, depth=2):
        super().__init__()
        self.table, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(TIME, WIDTH)
        self.blocks = nn.ModuleList(TorchBlock(before, causal) for _ in range(depth))
        self.norm, self.head, self.whole = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 5), whole

    def forward(self, ids):
        x = self.table(ids) + self.places(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(x.mean(1) if self.whole else x)


class KerasEncoder(Configured):
    def __init__(self, before=True, causal=False, whole=False, depth=2, **kwargs):
        super().__init__(**kwargs)
        self.table, self.places = layers.Embedding(VOCABULARY, WIDTH), layers.Embedding(TIME, WIDTH)
        self.before, self.causal, self.whole, self.depth = before, causal, whole, depth
        self.blocks = [KerasBlock(before, causal) for _ in range(depth)]
        self.norm, self.head = layers.LayerNormalization(epsilon=1e-5), layers.Dense(5)

    def call(self, ids):
        x = self.table(ids) + self.places(ops.arange(TIME))
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(ops.mean(x, 1) if self.whole else x)


def torch_library(before=False):
    """torch's own encoder layer."""
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, 0.0, batch_first=True, norm_first=before)
    return nn.Sequential(layer)


def keras_library(before=False):
    return keras.Sequential([keras.Input((TIME, WIDTH)), KerasBlock(before, False)])


class TorchPlaces(nn.Module):
    """A token in front of all others, and where each stands."""

    def __init__(self):
        super().__init__()
        self.first, self.places = nn.Parameter(torch.zeros(1, 1, WIDTH)), nn.Parameter(torch.zeros(1, 7, WIDTH))

    def forward(self, x):
        return torch.cat([self.first.expand(len(x), -1, -1), x], 1) + self.places


class KerasPlaces(layers.Layer):
    def build(self, _):
        self.first = self.add_weight(shape=(1, 1, WIDTH), name="first")
        self.places = self.add_weight(shape=(1, 7, WIDTH), name="places")

    def call(self, x):
        return ops.concatenate([ops.broadcast_to(self.first, (ops.shape(x)[0], 1, WIDTH)), x], 1) + self.places


class TorchViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches, self.places = nn.Conv2d(3, WIDTH, 2, 2), TorchPlaces()
        self.block, self.norm, self.head = TorchBlock(True, False), nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.block(self.places(x)))[:, 0])


class KerasViT(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.patches, self.places = layers.Conv2D(WIDTH, 2, strides=2), KerasPlaces()
        self.block, self.norm = KerasBlock(True, False), layers.LayerNormalization(epsilon=1e-5)
        self.head = layers.Dense(5)

    def call(self, x):
        x = ops.reshape(self.patches(x), (-1, 6, WIDTH))
        return self.head(self.norm(self.block(self.places(x)))[:, 0])


def own(layer):
    """The parameters of a ViT's places."""
    return {"first": layer.first, "places": layer.places}


SINES = np.sin(np.arange(TIME)[:, None] / 100 ** (np.arange(WIDTH // HEADS)[None] / WIDTH))
COSINES = np.cos(np.arange(TIME)[:, None] / 100 ** (np.arange(WIDTH // HEADS)[None] / WIDTH))


class TorchRotary(nn.Module):
    """Queries and keys turned by their places, RMS norms, a gated unit: a Llama's block."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(WIDTH, 1e-6), nn.RMSNorm(WIDTH, 1e-6)
        self.query, self.key, self.value, self.outer = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(WIDTH, INNER, bias=False) for _ in range(2))
        self.down = nn.Linear(INNER, WIDTH, bias=False)

    def turned(self, x):
        one, two = x.chunk(2, -1)
        return x * torch.tensor(COSINES).to(x) + torch.cat([-two, one], -1) * torch.tensor(SINES).to(x)

    def forward(self, x):
        y = self.norm1(x)

        def heads(z):
            return z.view(len(x), TIME, HEADS, -1).transpose(1, 2)

        query, key, value = self.turned(heads(self.query(y))), self.turned(heads(self.key(y))), heads(self.value(y))
        y = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.outer(y.transpose(1, 2).reshape(x.shape))
        y = self.norm2(x)
        return x + self.down(nn.functional.silu(self.gate(y)) * self.up(y))


class KerasRotary(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm1, self.norm2 = (layers.RMSNormalization(epsilon=1e-6) for _ in range(2))
        self.query, self.key, self.value, self.outer = (layers.Dense(WIDTH, use_bias=False) for _ in range(4))
        self.gate, self.up = layers.Dense(INNER, use_bias=False, activation="silu"), layers.Dense(INNER, use_bias=False)
        self.down = layers.Dense(WIDTH, use_bias=False)

    def turned(self, x):
        one, two = ops.split(x, 2, -1)
        sines, cosines = (ops.convert_to_tensor(table, x.dtype) for table in (SINES, COSINES))
        return x * cosines + ops.concatenate([-two, one], -1) * sines

    def call(self, x):
        y = self.norm1(x)

        def heads(z):
            return ops.transpose(ops.reshape(z, (-1, TIME, HEADS, WIDTH // HEADS)), (0, 2, 1, 3))

        query, key, value = self.turned(heads(self.query(y))), self.turned(heads(self.key(y))), heads(self.value(y))
        scores = ops.matmul(query, ops.swapaxes(key, -1, -2)) * (WIDTH // HEADS) ** -0.5
        scores = ops.where(ops.tril(ops.ones((TIME, TIME), "bool")), scores, -np.inf)
        y = ops.transpose(ops.matmul(ops.softmax(scores), value), (0, 2, 1, 3))
        x = x + self.outer(ops.reshape(y, (-1, TIME, WIDTH)))
        y = self.norm2(x)
        return x + self.down(self.gate(y) * self.up(y))


IDS, STEPS = strategies.ids(TIME, VOCABULARY), strategies.arrays(TIME, WIDTH)
FORMS = {
    "pre-norm": {},
    "post-norm": {"before": False},
    "decoder": {"causal": True},
    "decoder-post-norm": {"causal": True, "before": False},
    "classifier": {"whole": True, "depth": 1},
}
PAIRS = (
    *(
        Pair(f"transformer-{name}", partial(TorchEncoder, **how), partial(KerasEncoder, **how), inputs=IDS)
        for name, how in FORMS.items()
    ),
    Pair("transformer-library", torch_library, keras_library, inputs=STEPS),
    Pair("transformer-library-pre", partial(torch_library, True), partial(keras_library, True), inputs=STEPS),
    Pair(
        "vit",
        TorchViT,
        KerasViT,
        inputs=strategies.arrays(3, 4, 6),
        call=LAST,
        custom={TorchPlaces: own, KerasPlaces: own},
    ),
    Pair("llama-block", TorchRotary, KerasRotary, inputs=STEPS),
)
