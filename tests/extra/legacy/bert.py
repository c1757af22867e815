"""A third party's BERT, its PyTorch and its TensorFlow class, as a pair."""

from transformers import BertConfig, BertModel, TFBertModel
from transformers.models.bert.modeling_bert import BertEmbeddings
from transformers.models.bert.modeling_tf_bert import TFBertEmbeddings

from parity import Pair, strategies

SIZES = {"vocab_size": 50, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20}
DROPPED = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
# With a padding id, its PyTorch class does not train that row of the table, and its TensorFlow class does.
CONFIG = BertConfig(**SIZES, **DROPPED, max_position_embeddings=16, pad_token_id=None)


def torch_bert():
    return BertModel(CONFIG)


def keras_bert():
    return TFBertModel(CONFIG)


def of_torch(layer):
    words, types, places = layer.word_embeddings, layer.token_type_embeddings, layer.position_embeddings
    tables = {"words": words.weight, "types": types.weight, "places": places.weight}
    return {**tables, "gain": layer.LayerNorm.weight, "bias": layer.LayerNorm.bias}


def of_keras(layer):
    tables = {"words": layer.weight, "types": layer.token_type_embeddings, "places": layer.position_embeddings}
    return {**tables, "gain": layer.LayerNorm.gamma, "bias": layer.LayerNorm.beta}


custom = {BertEmbeddings: of_torch, TFBertEmbeddings: of_keras}
pair = Pair("bert", torch_bert, keras_bert, inputs=strategies.arrays(4, below=50), custom=custom)
