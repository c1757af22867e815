"""Models beside the ONNX files that `torch.onnx.export` makes of them: the reference pairs, and a network for pictures.

Every weight is drawn from a seed, gains and biases too, and stands beside the file: both are built from the same.
"""

import logging
import warnings
from functools import partial
from pathlib import Path

import torch
from torch import nn

from parity import Pair, reference, strategies
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer

TEXTS = ("lstm", "gru", "transformer", "conv")
IMAGE = "image"


class Image(nn.Module):
    """Convolutions, norms, pooling and resizing: kinds with attributes that an exporter can get wrong."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8, eps=1e-3)
        self.second, self.groups = nn.Conv2d(8, 12, 3, padding=1, groups=2), nn.GroupNorm(4, 12, eps=1e-3)
        self.hidden, self.head = nn.Linear(12, 10), nn.Linear(10, 5)

    def forward(self, x):
        x = nn.functional.leaky_relu(self.norm(self.first(x)), 0.2)
        x = nn.functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        x = nn.functional.elu(self.groups(self.second(x)), 0.7)
        x = nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = nn.functional.max_pool2d(x, 2) - nn.functional.avg_pool2d(x, 2)
        x = torch.clamp(self.hidden(x.mean((2, 3))), -0.8, 0.6)
        return torch.softmax(self.head(x), -1)


def tokenizer() -> Tokenizer:
    """The one that all texts have."""
    return Tokenizer.load(fixture("tokenizer/stdlib-1000.model"))


def made(name: str, folder: Path | None = None) -> nn.Module:
    """A model with the weights that stand in a folder, or that are drawn."""
    torch.manual_seed(0)
    model = (Image() if name == IMAGE else reference.pair(name, tokenizer()).torch()).eval()
    if folder is not None:
        model.load_state_dict(torch.load(folder / f"{name}.pt", weights_only=True))
        return model
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
            else:
                parameter.mul_(2)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
    return model


def export(name: str, folder: Path) -> Path:
    """The file of a model, which is made unless it is there."""
    path = folder / f"{name}.onnx"
    if path.exists():
        return path
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    model, free = made(name), torch.export.Dim("rows")
    torch.save(model.state_dict(), folder / f"{name}.pt")
    sample = torch.zeros(2, 3, 8, 8) if name == IMAGE else torch.zeros((2, 7), dtype=torch.int64)
    shapes = {0: free} if name == IMAGE else {0: free, 1: torch.export.Dim("time")}
    program = torch.onnx.export(model, (sample,), dynamo=True, dynamic_shapes=(shapes,), verbose=False)
    program.save(path, external_data=False)
    return path


def pair(name: str, folder: Path, file: Path) -> Pair:
    """A model beside a file."""
    build = partial(made, name, folder)
    if name == IMAGE:
        return Pair(name, torch=build, onnx=file, inputs=strategies.arrays(3, 8, 8))
    return Pair(name, torch=build, onnx=file, tokenizer=tokenizer(), length=reference.pair(name, tokenizer()).length)
