"""Trained models that packages ship, held against each other: `python -m benchmarks.shipped FOLDER`.

FOLDER holds two unpacked wheels, `basic_pitch` and `silero_vad`: a pitch tracker as ONNX and as LiteRT, and a detector
of voices as TorchScript and as ONNX, of which one file holds weights in half precision. Those that agree hold; that
one does not.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from parity import Pair, api

RATE, CONTEXT, STATE, PITCH = 16_000, 576, 128, 43_844


class Voice(nn.Module):
    """The detector for 16 kHz, with the batch first in its state, too."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.inner = torch.jit.load(path, map_location="cpu")._model

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        probability, state = self.inner(x, state.transpose(0, 1))
        return probability, state.transpose(0, 1)


def voice(path: Path) -> nn.Module:
    """The detector of a TorchScript file."""
    return Voice(path)


def rated(run: Any, inputs: Any, training: bool) -> Any:  # noqa: ARG001 call= is given the mode; a file has one
    """What an ONNX file gives that takes the rate too."""
    return _turned(run(input=inputs["x"], state=_states(inputs), sr=np.array(RATE)))


def unrated(run: Any, inputs: Any, training: bool) -> Any:  # noqa: ARG001 call= is given the mode; a file has one
    """What an ONNX file gives that knows one rate."""
    return _turned(run(input=inputs["x"], state=_states(inputs)))


def _states(inputs: Any) -> Any:
    return np.ascontiguousarray(inputs["state"].swapaxes(0, 1))


def _turned(given: Any) -> Any:
    probability, state = given
    return probability, state.swapaxes(0, 1)


def pitched(run: Any, inputs: Any, training: bool) -> dict[str, Any]:  # noqa: ARG001 call= is given the mode; a file has one
    """What the tracker's ONNX file gives, by the names that its LiteRT file has."""
    onset, note, contour = run(inputs)
    return {"contour": contour, "note": note, "onset": onset}


def sound(rows: int, samples: int) -> Any:
    """Chords with noise, (rows, samples)."""
    random, time = np.random.default_rng(0), np.arange(samples) / RATE
    tones = random.uniform(100, 2000, (rows, 5, 1))
    chords = np.sin(2 * np.pi * tones * time + random.uniform(0, 6, tones.shape)).mean(1)
    return (0.7 * chords + 0.05 * random.standard_normal(chords.shape)).astype(np.float32)


def pairs(folder: Path) -> dict[str, tuple[Pair, bool]]:
    """Name -> pair, and whether both are the same."""
    data, pitch = folder / "silero_vad" / "data", folder / "basic_pitch" / "saved_models" / "icassp_2022"
    state = 0.1 * np.random.default_rng(1).standard_normal((3, 2, STATE)).astype(np.float32)
    inputs, source = {"x": sound(3, CONTEXT), "state": state}, partial(voice, data / "silero_vad.jit")
    voices = {
        "voice": ("silero_vad_16k_op15.onnx", rated, True),
        "voice, another opset": ("silero_vad.onnx", rated, True),
        "voice in half precision": ("silero_vad_half.onnx", unrated, False),
    }
    found = {
        name: (Pair(name, torch=source, onnx=data / file, inputs=inputs, call={"onnx": call}), same)
        for name, (file, call, same) in voices.items()
    }
    files: dict[str, Any] = {"onnx": pitch / "nmp.onnx", "litert": pitch / "nmp.tflite"}
    given = sound(1, PITCH)[:, :, None]  # of which a run in float64 takes seconds
    return found | {"pitch": (Pair("pitch", **files, inputs=given, call={"onnx": pitched}), True)}


def main(folder: Path) -> int:
    """Print a report a pair, and whether each is as expected."""
    wrong = 0
    for name, (pair, same) in pairs(folder).items():
        report = api.check(pair, examples=2)
        wrong += report.holds != same
        print(report)
        print(f"{name}: {'as expected' if report.holds == same else 'NOT as expected'}\n", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
