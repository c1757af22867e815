"""A next-token transformer in PyTorch: the whole definition in this file, beside tensorflow.py."""

import math

import torch
from torch import nn


class Attention(nn.Module):
    """Causal self-attention: softmax(query key' / sqrt(head_width)) value in every head, over what is visible.

    Vaswani et al., Attention Is All You Need, 2017, section 3.2: https://arxiv.org/abs/1706.03762
    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.query = nn.Linear(config.width, config.heads * config.head_width)
        self.key = nn.Linear(config.width, config.heads * config.head_width)
        self.value = nn.Linear(config.width, config.heads * config.head_width)
        self.out = nn.Linear(config.heads * config.head_width, config.width)

    def forward(self, x, visible, past):
        """Attend from x (batch, time, width) where `visible` (time, seen) is true; `past` has earlier keys and values.

        Returns (batch, time, width), and all keys and values for the next call; `past` is None at a text's beginning.
        """
        batch, time, _ = x.shape
        # Each (batch, time, width) -> (batch, heads, time, head_width)
        query, key, value = (self.split(project(x)) for project in (self.query, self.key, self.value))
        if past is not None:
            key = torch.cat([past[0], key], 2)  # -> (batch, heads, seen, head_width)
            value = torch.cat([past[1], value], 2)  # -> (batch, heads, seen, head_width)
        scores = query @ key.mT / self.config.head_width**0.5  # (batch, heads, time, seen)
        scores = torch.where(visible, scores, -math.inf)
        x = torch.softmax(scores, -1) @ value  # (batch, heads, time, head_width)
        x = torch.permute(x, (0, 2, 1, 3))  # (batch, time, heads, head_width)
        x = torch.reshape(x, (batch, time, self.config.heads * self.config.head_width))
        return self.out(x), (key, value)  # (batch, time, width)

    def split(self, x):
        batch, time, _ = x.shape
        x = torch.reshape(x, (batch, time, self.config.heads, self.config.head_width))
        return torch.permute(x, (0, 2, 1, 3))  # (batch, heads, time, head_width)


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)): the norms stand before, so the sum itself is never normed.

    Xiong et al., On Layer Normalization in the Transformer Architecture, 2020: https://arxiv.org/abs/2002.04745
    """

    def __init__(self, config):
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width, eps=1e-5)
        self.attention = Attention(config)
        self.mlp_norm = nn.LayerNorm(config.width, eps=1e-5)
        self.expand = nn.Linear(config.width, config.inner)
        self.contract = nn.Linear(config.inner, config.width)

    def forward(self, x, visible, past):
        change, past = self.attention(self.attention_norm(x), visible, past)
        x = x + change
        inner = nn.functional.gelu(self.expand(self.mlp_norm(x)))  # (batch, time, width) -> (batch, time, inner)
        return x + self.contract(inner), past  # -> (batch, time, width)


class LanguageModel(nn.Module):
    """ids (batch, time) -> logits (batch, time, vocab) of the token that follows each id.

    Padding stands on the right, so no token sees it; the loss leaves it out. Raises an error for
    more ids than there are positions.
    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab, config.width)
        self.positions = nn.Embedding(config.length, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width, eps=1e-5)
        self.head = nn.Linear(config.width, config.vocab)

    def forward(self, ids):
        logits, _ = self.advance(ids)
        return logits  # (batch, time, vocab)

    def advance(self, ids, state=None):
        """Go on from the keys and values that earlier ids left behind: streaming costs one step a token."""
        start = 0 if state is None else state[0][0].shape[2]
        seen = start + ids.shape[1]
        if seen > self.config.length:
            raise ValueError(f"more ids than the {self.config.length} positions; give a shorter text")
        places = torch.arange(start, seen)  # (time,)
        visible = torch.arange(seen) <= places[:, None]  # (time, seen): each id sees itself and those before it
        x = self.embedding(ids) + self.positions(places)  # (batch, time) -> (batch, time, width)
        after = []
        for block, past in zip(self.blocks, state or [None] * len(self.blocks), strict=True):
            x, past = block(x, visible, past)
            after.append(past)
        logits = self.head(self.norm(x))  # (batch, time, width) -> (batch, time, vocab)
        return logits, after  # state: each block's keys and values
