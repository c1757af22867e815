"""The command line: `parity VERB`. Exit 0 parity holds, 1 it does not, 2 misuse, 3 an unexpected error."""

import contextlib
import os
import shlex
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from parity import scratch
from parity.config import load
from parity.console import Output, Verbs, Whole, err, interruptible, out, output, pressed, streams
from parity.errors import Mismatch, ParityError, visible
from parity.files import read_texts
from parity.gating import bless, gate
from parity.several import Several
from parity.several import run as several
from parity.targets import one_line, resolve
from parity.tokenizing import tokenizer


@click.group(cls=Verbs, no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="parity", message="parity %(version)s")
def cli() -> None:
    """Prove that a PyTorch and a TensorFlow/Keras model that are meant to be the same really are."""


@cli.command()
@click.argument("pairs", metavar="[PAIR]...", nargs=-1)
@click.option("--seed", type=Whole(min=0), show_default="0", help="What all examples are drawn from.")
@click.option("--examples", type=Whole(min=1), show_default="25", help="Examples of each check.")
@click.option("--dtypes", show_default="float64,float32", help="Also bfloat16 and float16, if named.")
@output("the report")
def check(pairs: tuple[str, ...], output: Output, dtypes: str | None, **given: int | None) -> int:
    """Run every check on each PAIR: a reference name (lstm, gru, transformer, conv), or module:attribute for your own.

    Without a PAIR, on lstm. [tool.parity] in pyproject.toml sets other pairs, seed, examples and dtypes.
    """
    from parity.api import check as run
    from parity.checks import checks_of
    from parity.checks.runner import count
    from parity.display import progress
    from parity.report import github, page, terminal
    from parity.report.document import documents
    from parity.results import Report, status

    github.check(os.environ)
    config = load().but(pairs=pairs, dtypes=dtypes and tuple(dtypes.split(",")), **given)
    subjects = {target: resolve(target, config.directory) for target in config.pairs}
    drawn: dict[str, Any] = {"seed": config.seed, "examples": config.examples, "dtypes": config.dtypes}

    def checked(target: str) -> tuple[str, Report]:
        with progress(err, sum(count(module, config.examples) for module in checks_of(subjects[target]))) as tick:
            return target, run(subjects[target], **drawn, target=target, tick=interruptible(tick))

    def document(runs: Several[tuple[str, Report]]) -> dict[str, Any]:
        return documents([report for _, report in runs.results], runs.unchecked)

    def show(result: tuple[str, Report]) -> None:
        if output.quiet:
            name = f"{result[0]}: " if len(subjects) > 1 else ""
            out.print(name, terminal.last_line(result[1]), sep="", soft_wrap=True)
        else:
            terminal.show(result[1], out)

    runs = several(list(subjects), checked, lambda runs: output.write(document(runs), page.checked), show)
    github.tell(document(runs), os.environ, lambda line: out.print(line, soft_wrap=True))
    runs.settle()
    return status([report for _, report in runs.results])


@cli.command()
@click.argument("target", metavar="PAIR")
@click.option("--text", help="Run the models on this text, instead of on rows drawn from the seed.")
@click.option("--seed", type=Whole(min=0), default=0, show_default=True, help="What weights are drawn from.")
@output("what was found")
def locate(target: str, text: str | None, seed: int, output: Output) -> int:
    """Say which layers of a PAIR introduce a difference, and why: a tree of linked layers, and proved causes."""
    from parity import tree
    from parity.checks.runner import environment
    from parity.diagnose import explain
    from parity.diagnose.stages import criterion
    from parity.inputs.arrays import Sample, shapes
    from parity.pair.models import Corners
    from parity.report import page

    pair = resolve(target, load().directory)
    with err.status("building the models"):
        corners = Corners(pair)
    weights, ids = explain.specimen(corners, seed, text)
    with err.status("running them side by side"):
        corners.load(weights)
        found, diagnosis = explain.located(corners, ids)
        if pair.loss and not found.introduces:
            found, diagnosis = criterion.located(corners, Sample(weights, ids), found)
    given = shapes(ids) + (f", from seed {seed}" if text is None else f", from {text!r}")
    heading = {"pair": pair.name, "weights": f"seed {seed}", "inputs": given}
    command = f"parity locate {target} --seed {seed}" + (f" --text {shlex.quote(text)}" if text is not None else "")
    more = {"command": command, "environment": environment(corners)}
    output.write(tree.document(found, diagnosis, heading | more), page.located)
    if output.quiet:
        out.print(tree.last_line(found), soft_wrap=True)
    else:
        tree.show(found, diagnosis, heading, out)
    return 1 if found.introduces else 0


@cli.command()
@click.argument("target", metavar="PAIR")
@output("the links", html=False)
def links(target: str, output: Output) -> int:
    """Say which layers of a PAIR are twins, how their parameters correspond, and what has no twin."""
    from parity.pair.link_table import survey
    from parity.report import links as report

    pair = resolve(target, load().directory)
    with err.status("building the models"):
        found = survey(pair)
    output.write(report.document(found))
    if output.quiet:
        out.print(report.last_line(found), soft_wrap=True)
    else:
        report.show(found, out)
    return 0 if found.holds else 1


@cli.command()
@click.option(
    "--text", type=click.Path(path_type=Path), required=True, help="A UTF-8 text file, or a directory of them."
)
@click.option(
    "--out", "directory", type=click.Path(path_type=Path), required=True, help="Where models and tokenizer go."
)
@click.option("--steps", type=Whole(min=1), default=100, show_default=True, help="Batches to train on.")
@click.option("--side", type=click.Choice(["torch", "tensorflow", "both"]), default="both", show_default=True)
@click.option("--tokenizer", type=click.Path(path_type=Path), help="Use this tokenizer instead of training one.")
@click.option("--seed", type=Whole(min=0), default=0, show_default=True, help="First weights and batches.")
def train(text: Path, directory: Path, steps: int, side: str, tokenizer: Path | None, seed: int) -> int:
    """Train the language-model twins side by side, save them, and prove that the reload is exact."""
    from parity import reference
    from parity import train as training
    from parity.backends import SIDES
    from parity.display import losses
    from parity.pair import checkpoint

    checkpoint.check_place(directory)
    vocabulary, source = training.find_tokenizer(directory, tokenizer, read_texts(text))
    out.print(f"tokenizer   {vocabulary.vocab:,} pieces, sha256 {vocabulary.fingerprint[:16]}, {source}")
    rows = training.read_rows(text, vocabulary)
    out.print(f"text        {len(rows):,} lines with something to predict")
    pair = reference.pair("lstm", vocabulary)
    with losses(out, steps) as tick:
        sides = SIDES if side == "both" else (side,)
        models = training.train(pair, rows, sides, steps, seed, interruptible(tick))
    verdicts = training.save(directory, pair, models, rows)
    out.print(f"saved       {directory}: {', '.join(sorted(p.name for p in directory.iterdir()))}", soft_wrap=True)
    elements = sum(verdict.elements for verdict in verdicts)
    out.print(f"reloaded    in a fresh process: identical bits in {elements:,} logits", style="bold green")
    return 0


@cli.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("text")
@click.option("--tokens", type=Whole(min=1), default=20, show_default=True, help="How many to predict.")
def generate(directory: Path, text: str, tokens: int) -> int:
    """Go on from TEXT with the models that parity train left in DIRECTORY, side by side."""
    from parity import reference
    from parity.display import speaking
    from parity.pair import checkpoint
    from parity.pair import decoding as generation

    saved = checkpoint.load(directory)
    ids = generation.prompt(saved.tokenizer, text)
    builds = reference.pair(saved.pair, saved.tokenizer).builds
    models = dict(saved.models(builds).values())
    with speaking(out, text) as show:
        for said in generation.stream(models, ids, tokens):
            show({side: generation.readable(saved.tokenizer, ids, one) for side, one in said.items()})
    status = 0
    for side, model in models.items():
        if generation.again(model, ids, tokens) != said[side]:
            out.print(f"{side}: running the whole text again gives other tokens", style="bold red")
            status = 1
    if len({tuple(one) for one in said.values()}) > 1:
        place = next(i for i, column in enumerate(zip(*said.values(), strict=True)) if len(set(column)) > 1)
        told = ", ".join(f"{side} {saved.tokenizer.piece(one[place])!r}" for side, one in said.items())
        gap, scale = generation.gap(models, ids, said, place)
        apart = f"; the logits of the two are at most {gap:.1e} apart, of up to {scale:.1e}"
        out.print(f"the sides part at token {place + 1}: {told}{apart}", style="bold red", soft_wrap=True)
        return 1
    if status == 0:
        agreed = "both sides agree, and" if len(models) > 1 else f"{next(iter(models))} alone:"
        out.print(
            f"{agreed} carrying the state gives the same {tokens} tokens as running the whole text",
            style="bold green",
            soft_wrap=True,
        )
    return status


@cli.command()
@click.option("--family", help="One family of faults alone, or benign for the benign twins.")
@output("the figures")
def selftest(family: str | None, output: Output) -> int:
    """Plant every known fault in the reference pairs and two others: does parity find it, where, and why?"""
    from parity import selftest as test
    from parity.display import progress
    from parity.report import page
    from parity.report import selftest as report

    subjects = test.chosen(family)
    with progress(err, test.count(*subjects)) as tick:
        found = test.run(*subjects, interruptible(tick))
    output.write(found, page.tried)
    if output.quiet:
        out.print(report.last_line(found), soft_wrap=True)
    else:
        report.show(found, out)
    return 0 if found["holds"] else 1


for verb in (tokenizer, gate, bless):
    cli.add_command(verb)


def main() -> None:
    """The `parity` command."""

    def interrupt(number: int, _: object) -> None:
        pressed.append(number)
        sys.unraisablehook = lambda _: None  # where it is swallowed, the next tick ends the work instead
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    status = 130
    with contextlib.suppress(KeyboardInterrupt), streams() as printed:  # unhandled, it would be a death by signal
        status = _status()
        printed.flush()
        if printed.error is not None and not isinstance(printed.error, BrokenPipeError):  # that reader has read enough
            status = status or _misuse(f"standard output: cannot be written ({printed.error.strerror})")
    # Where Ctrl-C went through an exec of a text, `python -m` would die by it at the end, handled as it was.
    exec("")  # it resets CPython's _Py_UnhandledKeyboardInterrupt
    sys.exit(130 if pressed else status)


def _status() -> int:
    """Run the verb of the command line; whatever it raises is told on standard error, and by the exit status."""
    try:
        _settle()
        return cli.main(prog_name="parity", standalone_mode=False) or 0
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "parity"
        return _misuse(f"{error.format_message()} (see {path} --help)")
    except ParityError as error:
        return _misuse(str(error))
    except Mismatch as finding:
        print(f"parity: {visible(str(finding))}", file=sys.stderr)
        return 1
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BaseException as error:  # noqa: BLE001 sys.exit() in a user's code too: only parity says 0 or 1
        if not pressed:
            print(visible("".join(traceback.format_exception(error))), file=sys.stderr)
        return 3


def _settle() -> None:
    """Keep this run's temporary files together. Raises ParityError where they have no place.

    And where the current directory is gone: nearly every path begins there.
    """
    try:
        Path.cwd()
    except OSError as error:
        raise ParityError(f"the current directory cannot be read ({error.strerror}); change to another") from error
    try:
        scratch.contain(scratch.of_process())
    except OSError as error:
        raise ParityError(f"no directory for temporary files can be made ({error.strerror}); set TMPDIR") from error


def _misuse(message: str) -> int:
    print(f"parity: {one_line(message)}", file=sys.stderr)
    return 2
