"""A small classifier in PyTorch; tensorflow.py is its port."""

from torch import nn


class Classifier(nn.Module):
    """x (batch, 11) -> logits (batch, 5)."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(11, 7)
        self.norm = nn.LayerNorm(7)
        self.head = nn.Linear(7, 5)

    def forward(self, x):
        x = nn.functional.gelu(self.hidden(x))  # (batch, 11) -> (batch, 7)
        x = self.norm(x)
        return self.head(x)  # (batch, 7) -> (batch, 5)
