"""Texts as ids with padding: bags of words, text CNNs, masked means and recurrences, taggers, sequence to sequence."""

import keras
import torch
from keras import layers, ops
from torch import nn

from parity import Pair, strategies

TIME, VOCABULARY, WIDTH, CLASSES = 7, 53, 5, 3
IDS = strategies.ids(TIME, VOCABULARY)


class TorchMean(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(VOCABULARY, WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, ids):
        return self.head(self.table(ids).mean(1))


def keras_mean():
    return keras.Sequential(
        [
            keras.Input((TIME,)),
            layers.Embedding(VOCABULARY, WIDTH),
            layers.GlobalAveragePooling1D(),
            layers.Dense(CLASSES),
        ]
    )


class TorchMasked(TorchMean):
    def forward(self, ids):
        kept = (ids != 0)[..., None].to(self.head.weight.dtype)
        return self.head((self.table(ids) * kept).sum(1) / kept.sum(1).clamp(min=1))


class KerasMasked(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table, self.head = layers.Embedding(VOCABULARY, WIDTH), layers.Dense(CLASSES)

    def call(self, ids):
        kept = ops.cast(ops.not_equal(ids, 0), self.compute_dtype)[..., None]
        return self.head(ops.sum(self.table(ids) * kept, 1) / ops.maximum(ops.sum(kept, 1), 1))


class TorchBag(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.EmbeddingBag(VOCABULARY, WIDTH, mode="sum"), nn.Linear(WIDTH, CLASSES)

    def forward(self, ids):
        return self.head(self.table(ids))


def table(layer):
    """The parameter of a bag, as an embedding has it."""
    return {"table": layer.weight}


class KerasBag(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table, self.head = layers.Embedding(VOCABULARY, WIDTH), layers.Dense(CLASSES)

    def call(self, ids):
        return self.head(ops.sum(self.table(ids), 1))


class TorchTextCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, WIDTH)
        self.convs = nn.ModuleList(nn.Conv1d(WIDTH, 4, size) for size in (2, 3, 4))
        self.dropout, self.head = nn.Dropout(0.5), nn.Linear(12, CLASSES)

    def forward(self, ids):
        x = self.table(ids).transpose(1, 2)
        found = [torch.relu(conv(x)).max(2).values for conv in self.convs]
        return self.head(self.dropout(torch.cat(found, 1)))


def keras_text_cnn():
    ids = keras.Input((TIME,))
    x = layers.Embedding(VOCABULARY, WIDTH)(ids)
    found = [layers.GlobalMaxPooling1D()(layers.Conv1D(4, size, activation="relu")(x)) for size in (2, 3, 4)]
    return keras.Model(ids, layers.Dense(CLASSES)(layers.Dropout(0.5)(layers.Concatenate()(found))))


class TorchTagger(nn.Module):
    """A class for each token; what stands before it is read, padding too."""

    def __init__(self):
        super().__init__()
        self.table, self.gru = nn.Embedding(VOCABULARY, WIDTH), nn.GRU(WIDTH, 6, batch_first=True)
        self.head = nn.Linear(6, CLASSES)

    def forward(self, ids):
        return self.head(self.gru(self.table(ids))[0])


def keras_tagger():
    return keras.Sequential(
        [
            keras.Input((TIME,)),
            layers.Embedding(VOCABULARY, WIDTH),
            layers.GRU(6, return_sequences=True),
            layers.Dense(CLASSES),
        ]
    )


class TorchLast(nn.Module):
    """An LSTM's output at the last token of each text."""

    def __init__(self):
        super().__init__()
        self.table, self.lstm = nn.Embedding(VOCABULARY, WIDTH), nn.LSTM(WIDTH, 6, batch_first=True)
        self.lstm.bias_hh_l0.requires_grad_(False)
        self.head = nn.Linear(6, CLASSES)

    def forward(self, ids):
        ends = ((ids != 0).sum(1) - 1).clamp(min=0)
        return self.head(self.lstm(self.table(ids))[0][torch.arange(len(ids)), ends])


class KerasLast(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table, self.lstm = layers.Embedding(VOCABULARY, WIDTH), layers.LSTM(6, return_sequences=True)
        self.head = layers.Dense(CLASSES)

    def call(self, ids):
        ends = ops.maximum(ops.sum(ops.cast(ops.not_equal(ids, 0), "int32"), 1) - 1, 0)
        x = self.lstm(self.table(ids))
        return self.head(ops.take_along_axis(x, ends[:, None, None], 1)[:, 0])


class TorchBoth(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, WIDTH)
        self.gru, self.head = nn.GRU(WIDTH, 4, batch_first=True, bidirectional=True), nn.Linear(8, CLASSES)

    def forward(self, ids):
        return self.head(self.gru(self.table(ids))[0].amax(1))


def keras_both():
    return keras.Sequential(
        [
            keras.Input((TIME,)),
            layers.Embedding(VOCABULARY, WIDTH),
            layers.Bidirectional(layers.GRU(4, return_sequences=True)),
            layers.GlobalMaxPooling1D(),
            layers.Dense(CLASSES),
        ]
    )


class TorchSeq2Seq(nn.Module):
    """What one GRU read is where another one begins."""

    def __init__(self):
        super().__init__()
        self.source, self.target = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(41, 4)
        self.encoder, self.decoder = nn.GRU(WIDTH, 6, batch_first=True), nn.GRU(4, 6, batch_first=True)
        self.head = nn.Linear(6, 41)

    def forward(self, inputs):
        _, state = self.encoder(self.source(inputs["source"]))
        return self.head(self.decoder(self.target(inputs["target"]), state)[0])


class KerasSeq2Seq(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.source, self.target = layers.Embedding(VOCABULARY, WIDTH), layers.Embedding(41, 4)
        self.encoder, self.decoder = layers.GRU(6, return_state=True), layers.GRU(6, return_sequences=True)
        self.head = layers.Dense(41)

    def call(self, inputs):
        _, state = self.encoder(self.source(inputs["source"]))
        return self.head(self.decoder(self.target(inputs["target"]), initial_state=state))


class TorchTied(nn.Module):
    """Logits by the table that the ids were looked up in."""

    def __init__(self):
        super().__init__()
        self.table, self.norm = nn.Embedding(VOCABULARY, WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, ids):
        return self.norm(torch.tanh(self.table(ids))) @ self.table.weight.T


class KerasTied(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table, self.norm = layers.Embedding(VOCABULARY, WIDTH), layers.LayerNormalization(epsilon=1e-5)

    def call(self, ids):
        return ops.matmul(self.norm(ops.tanh(self.table(ids))), ops.transpose(self.table.embeddings))


def whole(model, inputs, training):
    return model(inputs, training=training)


def whole_torch(model, inputs, _):
    return model(inputs)


SIDES = {
    "mean": (TorchMean, keras_mean),
    "masked-mean": (TorchMasked, KerasMasked),
    "cnn": (TorchTextCNN, keras_text_cnn),
    "tagger": (TorchTagger, keras_tagger),
    "last-token": (TorchLast, KerasLast),
    "both-ways": (TorchBoth, keras_both),
    "tied": (TorchTied, KerasTied),
}
PAIRS = (
    *(Pair(f"text-{name}", *sides, inputs=IDS) for name, sides in SIDES.items()),
    Pair("text-bag", TorchBag, KerasBag, inputs=IDS, custom={nn.EmbeddingBag: table}),
    Pair(
        "text-seq2seq",
        TorchSeq2Seq,
        KerasSeq2Seq,
        inputs=strategies.together(source=IDS, target=strategies.ids(5, 41)),
        call={"torch": whole_torch, "tensorflow": whole},
    ),
)
