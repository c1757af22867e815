"""Tiny random models of Hugging Face, one for each of KerasHub's converters, and what is known of what becomes of them.

`EXPECTED` is what `tox -e ports` expects: it fails where a finding appears or vanishes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WIDE = 118  # letters of a line
PORT = "keras_hub.models:Backbone.from_preset"
TEXT = {"vocab_size": 31, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 20}
DECODER = TEXT | {"num_key_value_heads": 1}
HEADED = DECODER | {"head_dim": 8}
PICTURE = {name: size for name, size in TEXT.items() if name != "vocab_size"} | {"image_size": 16, "patch_size": 8}


@dataclass(frozen=True)
class Family:
    """A converter's model type, the class that is saved, that of its configuration, and the sizes in it."""

    name: str
    model: str
    config: str
    sizes: Mapping[str, Any]
    nested: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write the model, every number of it drawn, into a folder."""
        exec(self.script.replace(_quoted(self.name), repr(str(folder))), {"__name__": "family"})  # what the page shows

    @property
    def script(self) -> str:
        """What reproduces a finding, before `parity port`."""
        nested = [line for name, sizes in self.nested.items() for line in _filled(name, sizes)]
        sizes = _filled("sizes", self.sizes, self.nested)
        return "\n".join(
            (
                "import torch",
                "import transformers",
                "",
                *nested,
                *sizes,
                f"config = transformers.{self.config}(**sizes)",
                "torch.manual_seed(0)",
                f"model = transformers.{self.model}(config)",
                "for parameter in model.parameters():",
                "    torch.nn.init.normal_(parameter, 1.0 if parameter.ndim == 1 else 0.0, 0.1)",
                f"model.save_pretrained({_quoted(self.name)})",
                "",
            )
        )


def _filled(name: str, sizes: Mapping[str, Any], named: Iterable[str] = ()) -> list[str]:
    """Statements that make a dict, as few and as wide as a line may be; `named` are variables of their own name."""
    items = [*(f"{_quoted(of)}: {_quoted(value)}" for of, value in sizes.items()), *(f'"{of}": {of}' for of in named)]
    lines = [""]
    for item in items:
        longer = ", ".join(filter(None, (lines[-1], item)))
        lines = [*lines[:-1], longer] if len(f"{name} |= {{{longer}}}") <= WIDE else [*lines, item]
    return [f"{name} {'|=' if place else '='} {{{line}}}" for place, line in enumerate(lines)]


def _quoted(value: Any) -> str:
    return repr(value).replace("'", '"')


@dataclass(frozen=True)
class Expected:
    """A verdict, the settings that are dropped, and what a difference is called and where it is."""

    verdict: str
    dropped: tuple[str, ...] = ()
    cause: str = ""
    place: str = ""


FAMILIES = (
    Family("albert", "AlbertForSequenceClassification", "AlbertConfig", TEXT | {"embedding_size": 8}),
    Family(
        "bart",
        "BartModel",
        "BartConfig",
        {"vocab_size": 31, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "max_position_embeddings": 20}
        | {f"{side}_attention_heads": 2 for side in ("encoder", "decoder")}
        | {f"{side}_ffn_dim": 20 for side in ("encoder", "decoder")},
    ),
    Family("bert", "BertModel", "BertConfig", TEXT | {"max_position_embeddings": 20}),
    Family("deit", "DeiTForImageClassification", "DeiTConfig", PICTURE),
    Family(
        "dinov2",
        "Dinov2Model",
        "Dinov2Config",
        {name: size for name, size in PICTURE.items() if name != "intermediate_size"} | {"mlp_ratio": 2},
    ),
    Family("dinov3", "DINOv3ViTModel", "DINOv3ViTConfig", PICTURE),
    Family(
        "distilbert",
        "DistilBertForMaskedLM",
        "DistilBertConfig",
        {"vocab_size": 31, "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 20, "max_position_embeddings": 20},
    ),
    Family(
        "esm",
        "EsmModel",
        "EsmConfig",
        TEXT
        | {"max_position_embeddings": 20, "position_embedding_type": "rotary", "pad_token_id": 1}
        | {"mask_token_id": 30},
    ),
    Family("gemma", "GemmaForCausalLM", "GemmaConfig", HEADED),
    Family("gemma2", "Gemma2ForCausalLM", "Gemma2Config", HEADED | {"query_pre_attn_scalar": 8}),
    Family("gemma3", "Gemma3TextModel", "Gemma3TextConfig", HEADED | {"query_pre_attn_scalar": 8}),
    Family(
        "gpt2",
        "GPT2Model",
        "GPT2Config",
        {"n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 31, "n_positions": 20},
    ),
    Family("gpt_oss", "GptOssForCausalLM", "GptOssConfig", HEADED | {"num_local_experts": 4, "num_experts_per_tok": 2}),
    Family("llama", "LlamaForCausalLM", "LlamaConfig", DECODER | {"rms_norm_eps": 1e-5}),
    Family("mistral", "MistralForCausalLM", "MistralConfig", DECODER),
    Family(
        "mixtral", "MixtralForCausalLM", "MixtralConfig", DECODER | {"num_local_experts": 4, "num_experts_per_tok": 2}
    ),
    Family("qwen2", "Qwen2ForCausalLM", "Qwen2Config", DECODER),
    Family(
        "qwen2_moe",
        "Qwen2MoeForCausalLM",
        "Qwen2MoeConfig",
        DECODER
        | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12}
        | {"shared_expert_intermediate_size": 12},
    ),
    Family("qwen3", "Qwen3ForCausalLM", "Qwen3Config", HEADED),
    Family(
        "qwen3_moe",
        "Qwen3MoeForCausalLM",
        "Qwen3MoeConfig",
        HEADED | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12},
    ),
    Family("roberta", "RobertaForMaskedLM", "RobertaConfig", TEXT | {"max_position_embeddings": 22}),
    Family("xlm_roberta", "XLMRobertaModel", "XLMRobertaConfig", TEXT | {"max_position_embeddings": 22}),
    Family(
        "smollm3",
        "SmolLM3ForCausalLM",
        "SmolLM3Config",
        DECODER | {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
    ),
    Family(
        "swin",
        "SwinModel",
        "SwinConfig",
        {"image_size": 16, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 2},
    ),
    Family(
        "t5gemma",
        "T5GemmaModel",
        "T5GemmaConfig",
        {},
        {"encoder": HEADED, "decoder": HEADED | {"cross_attention_hidden_size": 16}},
    ),
    Family("vit", "ViTForImageClassification", "ViTConfig", PICTURE),
)
EXPECTED = {
    "albert": Expected("equal", ("hidden_act", "layer_norm_eps")),
    "bart": Expected(
        "equal", ("activation_function", "decoder_attention_heads", "encoder_attention_heads", "scale_embedding")
    ),
    "bert": Expected(
        "different",
        ("hidden_act", "layer_norm_eps"),
        "as if `hidden_act` were 'gelu_new', not 'gelu'",
        place="encoder.layer.0.intermediate.intermediate_act_fn",
    ),
    "deit": Expected("equal", ("hidden_act", "qkv_bias")),
    "dinov2": Expected("equal", ("hidden_act", "layer_norm_eps", "qkv_bias")),
    "dinov3": Expected("equal", ()),
    "distilbert": Expected("equal", ("activation",)),
    "esm": Expected("equal", ()),
    "gemma": Expected("equal", ("hidden_act", "rms_norm_eps", "rope_theta")),
    "gemma2": Expected(
        "different",
        ("hidden_activation", "query_pre_attn_scalar", "rms_norm_eps", "rope_theta"),
        place="layers.0.self_attn",
    ),
    "gemma3": Expected("equal", ("hidden_activation", "query_pre_attn_scalar", "rms_norm_eps", "rope_local_base_freq")),
    "gpt2": Expected("equal", ("activation_function", "layer_norm_epsilon")),
    "gpt_oss": Expected("refused", (), "gate_up_proj_blocks"),
    "llama": Expected(
        "different",
        ("hidden_act", "rms_norm_eps"),
        "as if `rms_norm_eps` were 1e-06, not 1e-05",
        place="layers.0.input_layernorm",
    ),
    "mistral": Expected("different", ("hidden_act",), "rounded through float16", place="embed_tokens"),
    "mixtral": Expected("equal", ("hidden_act",)),
    "qwen2": Expected("equal", ("hidden_act",)),
    "qwen2_moe": Expected("equal", ("hidden_act", "qkv_bias")),
    "qwen3": Expected("different", ("hidden_act",), place="layers.0.self_attn.q_norm, layers.0.self_attn.k_norm"),
    "qwen3_moe": Expected("equal", ("hidden_act",)),
    "roberta": Expected(
        "different",
        ("hidden_act", "layer_norm_eps", "num_attention_heads", "pad_token_id"),
        "no part in the port: embeddings.token_type_embeddings.weight",
        place="embeddings.token_type_embeddings",
    ),
    "xlm_roberta": Expected(
        "different",
        ("hidden_act", "layer_norm_eps", "pad_token_id"),
        "as if `layer_norm_eps` were 1e-05, not 1e-12",
        place="embeddings, embeddings.token_type_embeddings",
    ),
    "smollm3": Expected("equal", ("hidden_act",)),
    "swin": Expected("equal", ("hidden_act", "layer_norm_eps")),
    "t5gemma": Expected(
        "different",
        (
            "decoder.hidden_activation",
            "decoder.query_pre_attn_scalar",
            "decoder.rms_norm_eps",
            "decoder.rope_theta",
            "encoder.hidden_activation",
            "encoder.query_pre_attn_scalar",
            "encoder.rms_norm_eps",
            "encoder.rope_theta",
        ),
        place="encoder.layers.0.self_attn, decoder.layers.0.self_attn",
    ),
    "vit": Expected(
        "different",
        ("hidden_act", "layer_norm_eps"),
        "as if `layer_norm_eps` were 1e-06, not 1e-12",
        place="encoder.layer.0.layernorm_before",
    ),
}
