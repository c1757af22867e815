"""A torch model of a folder or a file, what it takes and what it gives.

Line for line beside `parity/backends/tensorflow/ported.py`.
"""

import inspect
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optree
import torch
from torch import nn

from parity.backends.torch import formats
from parity.backends.torch.precision import precision
from parity.dtypes import Inputs, Outputs
from parity.errors import ParityError
from parity.files import check_file

FOLDERS = ("huggingface",)
SPARE = 1.5  # times as many numbers as its files hold is what a configuration may ask for: tied ones are stored once


def of_folder(_: str, path: Path, head: bool) -> nn.Module:
    """The model of a folder that transformers wrote: its base, or with the head that its configuration names.

    Read from safetensors alone, without code of the folder's own. Raises ParityError for what is missing.
    """
    import transformers

    transformers.logging.set_verbosity_error()
    config = transformers.AutoConfig.from_pretrained(str(path), local_files_only=True, trust_remote_code=False)
    named = getattr(transformers, (config.architectures or [""])[0], None) if head else None
    owner = named or transformers.AutoModel
    _check_size(owner, config, path)
    model, report = owner.from_pretrained(
        str(path),
        config=config,
        local_files_only=True,
        use_safetensors=True,
        output_loading_info=True,
        dtype=torch.get_default_dtype(),
    )
    if report["mismatched_keys"]:
        raise ParityError(f"{path}: holds {report['mismatched_keys'][0][0]} of another shape than config.json says")
    return model.eval()


def of_file(build: Callable[[], Any] | None, path: Path) -> nn.Module:
    """A model with the values of a file of float32, or the model in it. Raises ParityError where there is none."""
    if build is None:
        return formats.whole(path)
    model = build()
    with precision("float32"):
        source = formats.load(build(), path)
    model.load_state_dict(source.state_dict())  # casts
    return model


def is_model(value: Any) -> bool:
    """Whether an object is a model of this framework."""
    return isinstance(value, nn.Module)


def takes(model: nn.Module) -> dict[str, Any]:
    """Say what a model of transformers takes: ids, {"below", "pad"}, or pictures, {"shape"}, channels first."""
    config = getattr(model, "config", None)
    if config is None or not _hugging(model):
        return {}
    if model.main_input_name == "pixel_values":
        size = getattr(config, "image_size", 32)
        sizes = (size, size) if isinstance(size, int) else tuple(size)
        return {"shape": (getattr(config, "num_channels", 3), *sizes)}
    text = config.get_text_config()
    return {"below": text.vocab_size, "pad": text.pad_token_id}


def answers(model: nn.Module, inputs: Inputs, training: bool) -> Outputs:  # noqa: ARG001 a module has its mode
    """Run a model: its outputs; one of transformers without its cache and what it gives beside, by name."""
    if not _hugging(model):
        return model(*inputs) if isinstance(inputs, tuple) else model(inputs)
    named = {model.main_input_name: inputs}
    known = inspect.signature(model.forward).parameters
    named |= {"decoder_input_ids": inputs} if "decoder_input_ids" in known else {}
    outputs = model(**named, **({"use_cache": False} if "use_cache" in known else {}), return_dict=True)
    names = {
        "encoder_last_hidden_state": "encoder_sequence_output",
        "last_hidden_state": "decoder_sequence_output" if "decoder_input_ids" in known else "sequence_output",
        "pooler_output": "pooled_output",
        "logits": "logits",
    }
    return {ours: outputs[name] for name, ours in names.items() if outputs.get(name) is not None}


def sampled(model: nn.Module, inputs: Inputs) -> Outputs:
    """Run a model on arrays, in evaluation mode."""
    with torch.no_grad():
        return answers(model.eval(), optree.tree_map(torch.from_numpy, inputs), False)


def _hugging(model: nn.Module) -> bool:
    return any(of.__module__.startswith("transformers.") for of in type(model).__mro__)


def _check_size(kind: Any, config: Any, path: Path) -> None:
    """Refuse a configuration that asks for a far larger model than the files hold, before there is one."""
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise ParityError(f"{path}: has no .safetensors file; save the model with save_pretrained")
    total = sum(_numbers(file) for file in files)
    with torch.device("meta"):
        empty = kind.from_config(config) if hasattr(kind, "from_config") else kind(config)
    asked = sum(parameter.numel() for parameter in empty.parameters())
    if asked > SPARE * total:
        raise ParityError(f"{path}: its configuration asks for {asked:,} numbers, but its files hold {total:,}")


def _numbers(path: Path) -> int:
    """How many numbers a .safetensors file says that it holds, of at most as many bits as it has."""
    check_file(path, 2**40)
    with path.open("rb") as file:
        # The format: 8 bytes of little-endian length, a JSON header of that length, the tensors.
        # https://github.com/huggingface/safetensors#format
        (length,) = struct.unpack("<Q", file.read(8))
        if length > 100 * 2**20:
            raise ParityError(f"{path}: is no .safetensors file")
    from safetensors import safe_open

    try:
        with safe_open(str(path), "pt") as stored:
            return sum(math.prod(stored.get_slice(name).get_shape()) for name in stored.keys())  # noqa: SIM118 no dict
    except Exception as error:  # whatever the reader raises on bytes that are not its own
        raise ParityError(f"{path}: cannot be read as a .safetensors file") from error
