"""Trained models that packages ship, held against each other: `python -m benchmarks.shipped FOLDER [--page FILE]`.

FOLDER holds two unpacked wheels, `basic_pitch` and `silero_vad`: a pitch tracker as ONNX and as LiteRT, and a detector
of voices as TorchScript and as ONNX. Those that agree hold; the file that is named half does not: it holds float32, and
the weights of another training.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from parity import Pair, api
from parity.checks.results import Report

MARK = "<!-- figures: python -m benchmarks.shipped FOLDER --page writes from here -->"
HEAD = (
    "| model | sides | forward | largest difference | limit | float64 | cause |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)
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


def rated(run: Any, inputs: Any, _: bool) -> Any:
    """What an ONNX file gives that takes the rate too."""
    return _turned(run(input=inputs["x"], state=_states(inputs), sr=np.array(RATE)))


def unrated(run: Any, inputs: Any, _: bool) -> Any:
    """What an ONNX file gives that knows one rate."""
    return _turned(run(input=inputs["x"], state=_states(inputs)))


def _states(inputs: Any) -> Any:
    return np.ascontiguousarray(inputs["state"].swapaxes(0, 1))


def _turned(given: Any) -> Any:
    probability, state = given
    return probability, state.swapaxes(0, 1)


def pitched(run: Any, inputs: Any, _: bool) -> dict[str, Any]:
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
        "voice, the file named half": ("silero_vad_half.onnx", unrated, False),
    }
    found = {
        name: (Pair(name, torch=source, onnx=data / file, inputs=inputs, call={"onnx": call}), same)
        for name, (file, call, same) in voices.items()
    }
    files: dict[str, Any] = {"onnx": pitch / "nmp.onnx", "litert": pitch / "nmp.tflite"}
    given = sound(1, PITCH)[:, :, None]  # of which a run in float64 takes seconds
    return found | {"pitch": (Pair("pitch", **files, inputs=given, call={"onnx": pitched}), True)}


def row(name: str, report: Report, same: bool) -> str:
    """A pair's line of the table: its verdict on forward, and by what."""
    forward, doubles = report["forward"], "one side" if report.weaker else "both sides"
    causes = [cause.name for finding in forward.findings[:1] for cause in finding.diagnosis.causes]
    verdict = forward.verdict if report.holds == same else f"{forward.verdict} (NOT as expected)"
    figures = f"{forward.max_abs_diff:.1e} | {forward.limit:.1e}"
    return f"| {name} | {' and '.join(report.sides)} | {verdict} | {figures} | {doubles} | {', '.join(causes) or '-'} |"


def main() -> None:
    """Print a report a pair and the table; 1 where one is not as expected."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--page", type=Path, help="a Markdown page whose last table is written anew")
    options = parser.parse_args()
    rows, wrong = [HEAD], 0
    for name, (pair, same) in pairs(options.folder).items():
        report = api.check(pair, examples=2)
        wrong += report.holds != same
        rows.append(row(name, report, same))
        print(report)
        print(rows[-1], flush=True)
    table = "\n".join(rows)
    if options.page:
        head = options.page.read_text(encoding="utf-8").partition(MARK)[0]
        options.page.write_text(f"{head}{MARK}\n\n{table}\n", encoding="utf-8")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
