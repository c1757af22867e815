"""A twin pair as large as GPT-2, and one of a tenth: `parity check benchmarks.large:gpt2 --examples 3`.

Twelve blocks of the reference transformer, whose head is the embedding's own table, transposed: 124 million parameters
and 50,257 pieces, those of the largest specimen's tokenizer without its last merges. `small` has 13 million, in three
blocks. `python -m benchmarks.peak` measures what their checks take.
"""

from functools import cache, partial
from typing import Any

from sentencepiece import sentencepiece_model_pb2 as model_pb2

from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair.pair import Pair
from parity.reference.transformer.config import Config

GPT2 = Config(50_257, length=1024, width=768, blocks=12, heads=12, head_width=64, inner=3072)
SMALL = Config(8000, length=1024, width=480, blocks=3, heads=8, head_width=60, inner=1920)
LENGTH = 64  # ids in a text at most: what a text takes is no matter of parameters


def tokenizer(pieces: int) -> Tokenizer:
    """The largest specimen's, with so many pieces: the last merges are left out, the characters behind them stay."""
    path = fixture("tokenizer/stdlib-64000.model")
    proto = model_pb2.ModelProto.FromString(path.read_bytes())
    first = next(place for place, of in enumerate(proto.pieces) if of.type == of.NORMAL and len(of.piece) == 1)
    del proto.pieces[first - (len(proto.pieces) - pieces) : first]
    proto.trainer_spec.vocab_size = pieces
    return Tokenizer(proto.SerializeToString(), f"{path.name}, {pieces} pieces")


def pair(config: Config, name: str) -> Pair:
    """Both builders, and texts of at most `LENGTH` ids."""
    builds = partial(_torch, config), partial(_tensorflow, config)
    return Pair(name, *builds, tokenizer(config.vocab), length=LENGTH)


def _torch(config: Config) -> Any:
    from parity.reference.transformer.torch import LanguageModel

    class Tied(LanguageModel):
        def __init__(self, config: Config) -> None:
            super().__init__(config)
            del self._modules["head"]

        def head(self, x: Any) -> Any:
            return x @ self.embedding.weight.mT

    return Tied(config)


def _tensorflow(config: Config) -> Any:
    return _tied()(config)


@cache
def _tied() -> Any:
    import keras

    from parity.reference.transformer.tensorflow import LanguageModel

    @keras.saving.register_keras_serializable("benchmarks.large")
    class Tied(LanguageModel):
        def build(self, shape: Any) -> None:
            del self.head  # the layer, before it has weights; the method below is found then
            super().build(shape)

        def head(self, x: Any) -> Any:
            return keras.ops.matmul(x, keras.ops.transpose(self.embedding.embeddings))

    return Tied


gpt2 = pair(GPT2, "gpt2")
small = pair(SMALL, "small")
