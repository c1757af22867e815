"""A third party's BERT, its PyTorch and its TensorFlow class, as a pair."""

from parity import Pair, strategies

SIZES = {"vocab_size": 50, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20}


def config():
    from transformers import BertConfig

    return BertConfig(**SIZES, max_position_embeddings=16, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def torch_bert():
    from transformers import BertModel

    return BertModel(config())


def keras_bert():
    from transformers import TFBertModel

    return TFBertModel(config())


pair = Pair("bert", torch_bert, keras_bert, inputs=strategies.arrays(4, below=50))
