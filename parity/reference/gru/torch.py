"""A next-token language model in PyTorch: the whole definition in this file, beside tensorflow.py."""

from torch import nn


class LanguageModel(nn.Module):
    """ids (batch, time) -> logits (batch, time, vocab) of the token that follows each id.

    Padding stands on the right, so no token sees it; the loss leaves it out.
    """

    def __init__(self, config):
        super().__init__()
        self.embedding = nn.Embedding(config.vocab, config.width)
        # The reset gate acts on the state's part of the new gate after its product and its bias.
        self.gru = nn.GRU(config.width, config.units, batch_first=True)
        self.head = nn.Linear(config.units, config.vocab)

    def forward(self, ids):
        logits, _ = self.advance(ids)
        return logits  # (batch, time, vocab)

    def advance(self, ids, state=None):
        """Go on from the state that earlier ids left behind: streaming costs one step a token."""
        x = self.embedding(ids)  # (batch, time) -> (batch, time, width)
        x, state = self.gru(x, state)  # (batch, time, width) -> (batch, time, units)
        logits = self.head(x)  # (batch, time, units) -> (batch, time, vocab)
        return logits, state  # state: hidden
