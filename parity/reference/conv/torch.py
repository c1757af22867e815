"""A next-token convolution in PyTorch: the whole definition in this file, beside tensorflow.py."""

import torch
from torch import nn


class LanguageModel(nn.Module):
    """ids (batch, time) -> logits (batch, time, vocab) of the token that follows each id.

    Padding stands on the right, so no token sees it; the loss leaves it out.
    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab, config.width)
        first = nn.Conv1d(config.width, config.inner, config.kernel)
        second = nn.Conv1d(config.inner, config.outer, config.kernel)
        self.convs = nn.ModuleList([first, second])
        self.head = nn.Linear(config.outer, config.vocab)

    def forward(self, ids):
        logits, _ = self.advance(ids)
        return logits  # (batch, time, vocab)

    def advance(self, ids, state=None):
        """Go on from the inputs that earlier ids left behind: streaming costs one step a token."""
        before = self.config.kernel - 1
        x = self.embedding(ids)  # (batch, time) -> (batch, time, width)
        after = []
        for conv, past in zip(self.convs, state or [None] * len(self.convs), strict=True):
            # (batch, time, channels) -> (batch, before + time, channels): zeros stand before a text
            x = nn.functional.pad(x, (0, 0, before, 0)) if past is None else torch.cat([past, x], 1)
            after.append(x[:, -before:])
            x = torch.tanh(conv(x.mT).mT)  # (batch, before + time, channels) -> (batch, time, other channels)
        logits = self.head(x)  # (batch, time, outer) -> (batch, time, vocab)
        return logits, after  # state: the last inputs of each convolution
