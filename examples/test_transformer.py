"""A causal transformer block of nn.MultiheadAttention, and of keras.layers.MultiHeadAttention."""

import keras
import torch
from torch import nn

from parity import Pair, parametrize, strategies

TIME, HEADS, WIDTH, INNER = 7, 3, 12, 17


class TorchBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.expand, self.contract = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)

    def forward(self, x):
        y, later = self.norm1(x), torch.ones(TIME, TIME, dtype=torch.bool).triu(1)
        x = x + self.attention(y, y, y, attn_mask=later)[0]
        return x + self.contract(nn.functional.gelu(self.expand(self.norm2(x))))  # (batch, time, width)


class KerasBlock(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm1 = keras.layers.LayerNormalization(epsilon=1e-5)
        self.attention = keras.layers.MultiHeadAttention(HEADS, WIDTH // HEADS)
        self.norm2 = keras.layers.LayerNormalization(epsilon=1e-5)
        self.expand = keras.layers.Dense(INNER, activation="gelu")
        self.contract = keras.layers.Dense(WIDTH)

    def call(self, x):
        y = self.norm1(x)
        x = x + self.attention(y, y, use_causal_mask=True)
        return x + self.contract(self.expand(self.norm2(x)))  # (batch, time, width)


pair = Pair("transformer", TorchBlock, KerasBlock, inputs=strategies.arrays(TIME, WIDTH))


@parametrize(pair, examples=5)
def test_parity(check):
    check()
