"""The self-test's own models in PyTorch, beside tensorflow.py."""

import importlib
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

ROOMS = "parity.selftest.faults.pairs"

MEAN, VARIANCE = (0.5, 0.25, -0.125), (0.25, 1.0, 4.0)


class Block(nn.Module):
    """x + two convolutions of one shape, each normed."""

    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(x + self.norm2(self.conv2(y)))


class Image(nn.Module):
    """A picture (batch, 3, 9, 8) and its place (batch, 3) -> (batch, 3)."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("variance", torch.tensor(VARIANCE)[:, None, None])
        self.stem = nn.Conv2d(3, 5, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(5)
        self.pool = nn.MaxPool2d(2)
        self.block = Block(5)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(8, 3)

    def forward(self, x, place):
        x = (x - self.mean) / self.variance.sqrt()
        x = self.pool(torch.relu(self.norm(self.stem(x))))  # (batch, 5, 2, 2)
        x = self.dropout(self.block(x)).mean((2, 3))
        return self.head(torch.cat([x, place], 1))


class Attention(nn.Module):
    """One head, by the fused kernel: what is `visible` (batch, time) of x (batch, time, 10)."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(10, 6) for _ in range(3))
        self.out = nn.Linear(6, 10)
        self.scale = 6**-0.5

    def forward(self, x, visible):
        parts = self.query(x), self.key(x), self.value(x)
        x = functional.scaled_dot_product_attention(*parts, attn_mask=visible[:, None], scale=self.scale)
        return self.out(x)


class Sentence(nn.Module):
    """ids (batch, time), 0 being padding -> logits (batch, 4)."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(23, 10)
        self.attention = Attention()
        self.norm = nn.LayerNorm(10)
        self.head = nn.Linear(10, 4)

    def forward(self, ids):
        mask = ids != 0
        x = self.embedding(ids)
        x = x + self.attention(x, mask | (torch.arange(ids.shape[1]) == 0))  # of padding alone, the first
        return self.head(self.pool(self.precisely(x), mask))

    def precisely(self, x):
        return self.norm(x.float()).to(x.dtype)

    def pool(self, x, mask):
        counts = mask[..., None].to(x.dtype)
        return (x * counts).sum(1) / counts.sum(1).clamp(min=1)


class Carried(nn.Module):
    """A layer of every kind whose weights are laid out otherwise in Keras. ids (batch, time) -> (batch, 23)."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(23, 10)
        self.conv = nn.Conv1d(10, 10, 3, padding=1)
        self.bn = nn.BatchNorm1d(10)
        self.lstm = nn.LSTM(10, 6, batch_first=True)
        self.lstm.bias_hh_l0.requires_grad_(False)  # Keras has one bias
        self.gru = nn.GRU(6, 8, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.query, self.key = nn.Linear(8, 12), nn.Linear(8, 12)
        self.square = nn.Linear(12, 12)
        self.head = nn.Linear(12, 23)

    def forward(self, ids):
        x = self.bn(self.conv(self.embedding(ids).mT)).mT
        x = self.gru(self.lstm(x)[0])[0]
        x = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        x = torch.tanh(self.square(torch.tanh(self.query(x)) * self.key(x)))
        return self.head(x.mean(1))


class Own(nn.Module):
    """A model with a step of its own: a function of `code` or `otherwise` by its name, and what it is called with."""

    def __init__(self):
        super().__init__()
        self.code: list[Any] = ["same", {}]

    @property
    def step(self):
        name, options = self.code
        room, name = name.split(".") if "." in name else ("code", name)
        return partial(getattr(importlib.import_module(f"{ROOMS}.{room}.torch"), name), **options)


class Picture(Own):
    """A picture (batch, 10, 9, 3) -> (batch, 4); the step is between two convolutions."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.head = nn.Conv2d(3, 6, 2), nn.Conv2d(6, 5, 2), nn.Linear(5, 4)

    def forward(self, x):
        x = self.step(self.conv1(x.permute(0, 3, 1, 2)))
        return self.head(torch.relu(self.conv2(x)).mean((2, 3)))


class Series(Own):
    """x (batch, 7, 5) -> (batch, 7, 4); the step is between two dense layers."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Linear(5, 12), nn.Linear(12, 4)

    def forward(self, x):
        return self.head(self.step(self.embed(x)))


class Reader(Own):
    """ids (batch, time), 0 being padding -> logits (batch, 3); the step is all before the head."""

    def __init__(self):
        super().__init__()
        self.code = ["read", {}]
        self.table = nn.Embedding(23, 4)
        self.encoder = nn.GRU(4, 5, batch_first=True, bidirectional=True)
        self.head = nn.Linear(10, 3)

    def forward(self, ids):
        return self.head(self.step((self.table, self.encoder), ids))
