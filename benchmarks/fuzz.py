"""Is a corrupted file ever more than a success or one line?

    python -m benchmarks.fuzz [--count N] [--first SEED] [--kinds KIND ...]

Corrupts every kind of file that parity reads, an input a seed, and reads it as parity does: in a process that another
watches, so that one that dies or does not end is a finding too. So is whatever is no ParityError, an error of several
lines, more than `SECONDS` of processor time, and more than `BYTES` of memory.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import re
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import corruptions as of
from benchmarks.output import run
from parity import backends
from parity.errors import ParityError
from parity.frontends import config
from parity.gate import baseline
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair import checkpoint

BASELINE = Path(__file__).parent.parent / "fixtures" / "baselines" / "gru.json"
SECONDS = 10.0  # of processor time that one input may take
BYTES = 2**30  # of memory that one input may take
BEGUN = "begun"
PATIENCE = 300.0  # seconds without a word after which a process is said not to end
TOML = '[tool.parity]\npairs = ["lstm"]\nseed = 3\nexamples = 7\ndtypes = ["float64", "float32"]\nbaselines = "b"\n'


class Kind(NamedTuple):
    """A kind of file: its name, what a sound one holds, how it is corrupted, and what reads it in its directory."""

    file: str
    sound: bytes
    corruptions: Sequence[of.Corruption]
    read: Callable[[Path], object]


def read_tokenizer(path: Path) -> None:
    tokenizer = Tokenizer.load(path)
    tokenizer.decode(tokenizer.encode("def double(x): return 2 * x, 東京"))
    _ = tokenizer.fingerprint, tokenizer.settings


def read_model(side: str, path: Path) -> None:
    formats = backends.load()[side].formats
    formats.load(tiny(side), path)


def tiny(side: str) -> Any:
    if side == "torch":
        import torch

        return torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5))
    import keras

    dense = [keras.layers.Dense(5, name="a", activation="relu"), keras.layers.Dense(3, name="b")]
    return keras.Sequential([keras.Input((3,)), *dense], name="tiny")


def read_state(path: Path) -> None:
    from parity.backends import optimizer_state as state

    state.load(path, ["m"], {"a": ((3, 5), "float32")})


def read_run(path: Path) -> None:
    """As `parity gate --compare` does, beside the sound one."""
    from rich.console import Console

    from parity.report import gate

    for name in path.parent.glob("*.safetensors"):
        name.unlink()
    golden = next(BASELINE.parent.glob("gru.*.safetensors"))
    path.with_name(golden.name).write_bytes(golden.read_bytes())
    gate.compare(path, BASELINE, Console(file=io.StringIO()))


def sealed(corruption: of.Corruption) -> of.Corruption:
    """A corrupted baseline with a seal that fits."""

    def corrupt(data: bytes, randoms: random.Random) -> bytes:
        document = json.loads(data)
        document.pop("seal")
        changed = corruption(json.dumps(document).encode(), randoms)
        try:
            return baseline._sealed(json.loads(changed)).encode()
        except (ValueError, RecursionError, AttributeError):
            return changed

    return corrupt


def read_bundle(path: Path) -> None:
    """A directory whose other files are sound."""
    sound = {checkpoint.TOKENIZER: fixture("tokenizer/stdlib-1000.model").read_bytes(), "torch.pth": b"a model"}
    for name, data in sound.items():
        path.with_name(name).write_bytes(data)
    checkpoint.load(path.parent)


def manifest() -> bytes:
    data = fixture("tokenizer/stdlib-1000.model").read_bytes()
    sums = {checkpoint.TOKENIZER: hashlib.sha256(data).hexdigest(), "torch.pth": hashlib.sha256(b"a model").hexdigest()}
    found = {"schema": 1, "pair": "lstm", "tokenizer": Tokenizer(data).fingerprint, "models": {"torch.pth": "torch"}}
    return json.dumps({**found, "sha256": sums}).encode()


@cache
def model(side: str, suffix: str) -> bytes:
    _ = backends.load()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"model{suffix}"
        sys.modules[f"parity.backends.{side}"].formats.save(tiny(side), path)
        return path.read_bytes()


def state() -> bytes:
    from parity.backends import optimizer_state as of_optimizer

    with tempfile.TemporaryDirectory() as directory:
        of_optimizer.save(Path(directory) / "s.safetensors", 3, ["a"], {"m": [np.ones((3, 5), np.float32)]})
        return (Path(directory) / "s.safetensors").read_bytes()


def read_settings(path: Path) -> None:
    config.load(path.parent)


def kinds() -> dict[str, Kind]:
    blessed = BASELINE.read_bytes()
    report = json.dumps(json.loads(blessed)["report"]).encode()
    tokenizer = fixture("tokenizer/stdlib-1000.model").read_bytes()
    pth, keras = model("torch", ".pth"), model("tensorflow", ".keras")
    in_pth = [of.in_zip("data.pkl", of.bytewise), of.in_zip("data/0", of.bytewise)]
    in_keras = [of.in_zip("config.json", of.in_json), of.in_zip("model.weights.h5", of.bytewise)]
    torch, tensorflow = partial(read_model, "torch"), partial(read_model, "tensorflow")
    return {
        "tokenizer": Kind("t.model", tokenizer, [of.bytewise], read_tokenizer),
        "manifest": Kind(checkpoint.MANIFEST, manifest(), [of.bytewise, of.in_json], read_bundle),
        "pth": Kind("m.pth", pth, [of.bytewise, of.members, *in_pth], torch),
        "safetensors": Kind("m.safetensors", model("torch", ".safetensors"), [of.bytewise, of.in_header], torch),
        "keras": Kind("m.keras", keras, [of.bytewise, of.members, *in_keras, in_keras[0]], tensorflow),
        "h5": Kind("m.weights.h5", model("tensorflow", ".weights.h5"), [of.bytewise], tensorflow),
        "state": Kind("s.safetensors", state(), [of.bytewise, of.in_header], read_state),
        "baseline": Kind("gru.json", blessed, [of.bytewise, of.in_json, *[sealed(of.in_json)] * 3], read_run),
        "report": Kind("r.json", report, [of.bytewise, *[of.in_json] * 3], read_run),
        "pyproject": Kind("pyproject.toml", TOML.encode(), [of.bytewise, of.in_toml], read_settings),
    }


def tried(kind: Kind, directory: Path, randoms: random.Random) -> str:
    """What is wrong with how a corrupted file of this kind is read; empty if nothing is."""
    path = directory / kind.file
    path.write_bytes(randoms.choice(kind.corruptions)(kind.sound, randoms))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    found = ""
    try:
        kind.read(path)
    except ParityError as error:
        text = str(error)
        if re.search(r"[\n\r\x1b]", text):
            found = f"several lines, or colours: {text[:300]!r}"
    except Exception as error:  # noqa: BLE001 any other error of a reader is what is looked for: counted as a defect
        found = f"{type(error).__name__}: {str(error)[:300]!r}"
    if (seconds := time.process_time() - start) > SECONDS:
        found = found or f"{seconds:.0f} seconds"
    if (taken := 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)) > BYTES:
        found = found or f"{taken:,} bytes of memory"
    return found


def attempts(seeds: Sequence[int], names: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Seed, kind and what is wrong, before each (None yet) and after it."""
    every = kinds()
    names = names or list(every)
    for seed in seeds:
        name = names[seed % len(names)]
        yield seed, name, BEGUN
        with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(io.StringIO()):
            found = tried(every[name], Path(directory), random.Random(seed))
        yield seed, name, found


def work(options: argparse.Namespace) -> None:
    for attempt in attempts(range(options.first, options.first + options.count), options.kinds):
        print(json.dumps(attempt), file=sys.__stdout__, flush=True)


def watched(options: argparse.Namespace) -> Iterator[tuple[int, str, str]]:
    """What is wrong, of each seed; a new process goes on behind one at which the last died or did not end."""
    first, end = options.first, options.first + options.count
    while first < end:
        command = [sys.executable, "-m", "benchmarks.fuzz", "--work", "--first", str(first)]
        command += ["--count", str(end - first)]
        command += ["--kinds", *options.kinds] if options.kinds else []
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        begun = None
        for line in lines_of(process):
            seed, name, found = json.loads(line)
            begun = name if found == BEGUN else ""
            if not begun:
                first = seed + 1
                yield seed, name, found
        process.kill()
        status = process.wait()
        if begun is None:
            raise RuntimeError("the process that reads the files does not start")
        if begun:
            yield first, begun, f"the process died or did not end, exit status {status}"
            first += 1


def lines_of(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Each line, as long as they come."""
    assert process.stdout is not None
    while select.select([process.stdout], [], [], PATIENCE)[0] and (line := process.stdout.readline()):
        yield line


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, help="How many inputs.")
    parser.add_argument("--first", type=int, default=0, help="The first seed.")
    parser.add_argument("--kinds", nargs="*", default=[], help="Kinds of files; all, if none is named.")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options)
        return
    counts, findings = Counter[str](), 0
    for seed, name, found in watched(options):
        counts[name] += 1
        if found:
            findings += 1
            print(f"{seed} {name}: {found}", flush=True)
    print(f"{counts.total():,} inputs, {findings} findings: {dict(counts)}")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    run(main)
