"""The command line as a user meets it: exit statuses, one clear line for bad input, nothing half-written."""

import json
import signal
import subprocess
import sys

import pytest

from parity import checks, reference
from parity.frontends import cli
from parity.frontends.config import Config
from tests.helpers import forks
from tests.report.test_html import Parsed

MISUSE = {
    "no verb": ([], "Missing command"),
    "unknown verb": (
        ["chek"],
        "unknown command 'chek'; did you mean check? available: bless, check, compare, demo, dump, gate, ",
    ),
    "unknown pair": (["check", "lstn"], "unknown pair 'lstn'; did you mean lstm? available: lstm, gru, transformer, "),
    "unknown option": (["check", "--sed", "1"], "No such option"),
    "negative seed": (["check", "--seed", "-1"], "-1 is not in the range x>=0"),
    "no examples": (["check", "--examples", "0"], "0 is not in the range x>=1"),
    "no number": (["check", "--seed", "one"], "'one' is not a valid integer"),
    "unknown check": (["check", "--check", "forwrd"], "unknown check 'forwrd'; did you mean forward? available: "),
    "json to a device": (["check", "--json", "/dev/null"], "/dev/null: is not a regular file"),
    "json of an endless name": (["check", "--json", "x" * 300], "cannot be written"),
    "json in no directory": (["check", "--json", "no/a.json"], "no/a.json: cannot be written (No such file"),
    "a page to a device": (["check", "--html", "/dev/null"], "/dev/null: is not a regular file"),
    "a page in no directory": (["locate", "lstm", "--html", "no/a.html"], "no/a.html: cannot be written (No such file"),
    "a page that is a directory": (["selftest", "--html", "."], ".: is a directory; give a file name"),
    "a page over the json": (
        ["check", "--html", "a.json", "--json", "./a.json"],
        "a.json: is named by --json too; give",
    ),
    "json is a directory": (["check", "--json", "."], ".: is a directory; give a file name"),
    "tokenizer of nothing": (["tokenizer", "train", "-o", "x.model"], "Missing argument 'INPUTS...'"),
    "tokenizer without output": (["tokenizer", "train", "corpus.txt"], "Missing option '-o'"),
    "missing corpus": (["tokenizer", "train", "no.txt", "-o", "x.model"], "no.txt: cannot be read (No such file"),
    "empty corpus": (["tokenizer", "train", "empty.txt", "-o", "x.model"], "empty.txt: no text in it"),
    "binary corpus": (["tokenizer", "train", "latin.txt", "-o", "x.model"], "latin.txt: not UTF-8 at byte 3"),
    "small corpus": (
        ["tokenizer", "train", "corpus.txt", "-o", "x.model"],
        "the corpus is too small for 64000 pieces; the largest vocabulary that works is ",
    ),
    "negative vocabulary": (
        ["tokenizer", "train", "corpus.txt", "-o", "x.model", "--vocab-size", "-5"],
        "-5 is not in the range",
    ),
    "endless vocabulary": (
        ["tokenizer", "train", "corpus.txt", "-o", "x.model", "--vocab-size", "3000000000"],
        "3000000000 is not in the range",
    ),
    "endless name": (["tokenizer", "inspect", "x" * 300], "cannot be read (File name too long)"),
    "model over its corpus": (["tokenizer", "train", "corpus.txt", "-o", "./corpus.txt"], "is the corpus itself"),
    "inspect a directory": (["tokenizer", "inspect", "."], ".: cannot be read (Is a directory)"),
    "inspect a text": (["tokenizer", "inspect", "corpus.txt"], "corpus.txt: is not a SentencePiece model"),
    "inspect nothing": (["tokenizer", "inspect", "empty.txt"], "empty.txt: is empty"),
    "train without text": (["train", "--out", "m"], "Missing option '--text'"),
    "train on nothing": (["train", "--text", "empty.txt", "--out", "m"], "empty.txt: no text in it"),
    "train into a project": (["train", "--text", "corpus.txt", "--out", "."], "exists and is not a trained pair"),
    "train into nowhere": (["train", "--text", "corpus.txt", "--out", "a/b"], "cannot be written (No such file"),
    "train into what is not named": (["train", "--text", "corpus.txt", "--out", ""], "is not a trained pair"),
    "train into markup": (
        ["train", "--text", "corpus.txt", "--out", "m", "--tokenizer", "x[/b]/a.model"],
        "x[/b]/a.model: cannot be read",
    ),
    "train for no steps": (["train", "--text", "corpus.txt", "--out", "m", "--steps", "0"], "0 is not in the range"),
    "train another side": (["train", "--text", "corpus.txt", "--out", "m", "--side", "onnx"], "'onnx' is not one of"),
    "train on too little": (["train", "--text", "corpus.txt", "--out", "m"], "give it as --tokenizer"),
    "generate from nothing": (["generate", "m", "text"], "m: is not a directory"),
    "generate from a project": (["generate", ".", "text"], ".: has no parity.json"),
    "generate nothing": (["generate", ".", "text", "--tokens", "-1"], "-1 is not in the range x>=1"),
}

BAD_PAIRS = {
    "no such module": (["check", "nowhere:pair"], "nowhere:pair: cannot be imported (ModuleNotFoundError"),
    "no such attribute": (["check", "mine:pear"], "mine:pear: cannot be imported (AttributeError"),
    "not a pair": (["check", "mine:other"], "mine:other: is a int, but should be a parity.Pair"),
    "missing tokenizer": (["check", "mine:no_tokenizer"], "missing.model: cannot be read (No such file or directory)"),
    "a builder that fails": (["check", "mine:broken"], "the torch builder failed: ZeroDivisionError: in the builder"),
    "no such dtype": (
        ["check", "mine:small", "--dtypes", "float64,float8"],
        "unknown dtype 'float8'; available: float64",
    ),
    "no float64": (
        ["check", "mine:small", "--dtypes", "float32"],
        "float64 is missing from the dtypes; a verdict needs",
    ),
    "a builder that exits": (["check", "mine:exits"], "the torch builder failed: SystemExit: 0"),
    "a module that exits": (["check", "exits:pair"], "exits:pair: cannot be imported (SystemExit: 0)"),
    "a model of tuples": (["check", "mine:tuple_output"], "for ids (1, 2): select the logits with call="),
    "a vocabulary too small": (
        ["check", "mine:small_vocabulary"],
        "head: torch has dense kernel (999, 128), bias (999), tensorflow has dense kernel (1000, 128), bias (1000)",
    ),
    "a lambda builder": (["check", "mine:anonymous"], "define builders at the top of a module"),
    "a tokenizer that is none": (["check", "mine:wrong_tokenizer"], "the tokenizer of lstm is a int"),
}


@pytest.mark.parametrize(("args", "message"), MISUSE.values(), ids=MISUSE)
def test_misuse_is_one_clear_line(args, message, here, project, names):
    (project / "empty.txt").write_text("")
    (project / "latin.txt").write_bytes(b"caf\xe9")
    before = names(project)
    status, out, err = here(*args)

    assert (status, out) == (2, "")
    assert (err[:8], err.count("\n")) == ("parity: ", 1)
    assert message in err
    assert names(project) == before


@pytest.mark.parametrize(("args", "message"), BAD_PAIRS.values(), ids=BAD_PAIRS)
def test_a_bad_pair_is_one_clear_line(args, message, here):
    status, out, err = here(*args)

    assert (status, out) == (2, "")
    assert err.startswith("parity: ")
    assert err.count("\n") == 1
    assert message in err


def test_the_help_of_check_tells_the_defaults_and_the_reference_pairs():
    told = {parameter.name: getattr(parameter, "help", None) for parameter in cli.check.check.params}
    config = Config()

    assert told["seed"].endswith(f"; {config.seed} by default.")
    assert told["examples"].endswith(f"; {config.examples} by default.")
    assert f"; {','.join(config.dtypes)} by default" in told["dtypes"]
    assert f"or else {config.pairs[0]}." in cli.check.check.help
    assert f"a reference name ({', '.join(reference.PAIRS)})" in cli.check.check.help


def test_no_summary_of_a_command_is_cut_and_each_shows_an_example(here):
    _, out, _ = here("--help")

    assert "..." not in out.partition("Commands:")[2] + here("tokenizer --help")[1].partition("Commands:")[2]
    for name, verb in cli.cli.commands.items():
        assert f"  {name} " in out
        assert "Example" in f"{verb.epilog}{verb.help}" or name == "tokenizer"


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_a_missing_framework_names_the_extra(framework, tmp_path):
    hide = (
        "import importlib.util as u, sys; find = u.find_spec;"
        f"u.find_spec = lambda name, *a: None if name == '{framework}' else find(name, *a);"
        "from parity.frontends.cli import main; sys.argv[1:] = ['check']; main()"
    )
    result = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True, cwd=tmp_path, check=False)

    assert result.returncode == 2
    assert result.stderr == (
        f'parity: {framework} is not installed: run python -m pip install "parity[{framework}]", '
        'or "parity[cpu]" for both frameworks\n'
    )


FEW = """
from parity import checks
from mine import small

checks.CHECKS = (checks.tokenizer, checks.forward, checks.gradients, checks.generation)
"""


def test_check_holds_and_writes_the_same_json_in_another_process(here, project, monkeypatch):
    """Of the checks that take no process of their own."""
    (project / "few.py").write_text(FEW)
    command = ["check", "few:small", "--seed", "1", "--examples", "1"]
    result = forks.run("parity", *command, "--json", "a.json", cwd=project)
    monkeypatch.setattr(checks, "CHECKS", checks.CHECKS)  # put back behind the test
    monkeypatch.delitem(sys.modules, "few", raising=False)
    status, _, _ = here(*command, "--json", "b.json")

    assert (result.returncode, status, result.stderr) == (0, 0, "")
    assert result.stdout.rstrip().splitlines()[-1].startswith("PASS: models match: 4 checks, ")
    assert json.loads((project / "a.json").read_text())["holds"] is True
    assert (project / "a.json").read_text() == (project / "b.json").read_text()


@pytest.mark.usefixtures("two_checks")
def test_quiet_prints_the_last_line_only(here):
    status, out, err = here("check", "mine:small", "--examples", "1", "--quiet")

    assert out.startswith("PASS: models match: 2 checks, ")
    assert (status, out.count("\n"), err) == (0, 1, "")


@pytest.mark.usefixtures("two_checks")
def test_a_bare_check_checks_what_is_configured(here, project, monkeypatch):
    """From below the project as well, where its modules are found; an option overrides one key and no other."""
    (project / "pyproject.toml").write_text('[tool.parity]\npairs = ["mine:small"]\nseed = 4\nexamples = 9\n')
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    status, out, err = here("check", "--examples", "2")

    assert (status, err) == (0, "")
    assert "1,000 pieces" in out  # lstm itself, which is checked otherwise, has more
    assert "seed 4, 2 examples per check" in out


@pytest.mark.usefixtures("two_checks")
def test_several_pairs_hold_if_each_does(here, project, valid):
    """In a lower precision as well; the report of several has each."""
    pairs = ["mine:small", "mine:off_by_a_millionth"]
    dtypes = "float32,float64,float16"
    files = "--json", "a.json", "--html", "a.html"
    status, out, err = here("check", *pairs, "--examples", "5", "--dtypes", dtypes, "--quiet", *files)
    document = valid("reports", (project / "a.json").read_text())

    assert (status, err) == (1, "")
    assert [line[:40] for line in out.splitlines()] == [
        "mine:small: PASS: models match: 2 checks",
        "mine:off_by_a_millionth: FAIL: 2 of 2 ch",
    ]
    assert (document["holds"], [report["holds"] for report in document["reports"]]) == (False, [True, False])
    rows = document["reports"][0]["checks"][1]["figures"]["rows"]
    assert [row["dtype"] for row in rows] == ["float64", "float32", "float16"]
    assert "1 of 2 pairs match." in (project / "a.html").read_text()


def test_one_weight_off_by_a_millionth_exits_1(here, project, monkeypatch, valid):
    """The message names the array, the place and both values; every check that depends on it says so."""
    told = ("weights", "forward", "loss", "gradients")
    monkeypatch.setattr(checks, "CHECKS", tuple(getattr(checks, name) for name in told))
    status, out, _ = here("check", "mine:off_by_a_millionth", "--examples", "6", "--all", "--json", "off.json")
    document = valid("report", (project / "off.json").read_text())
    findings = {check["name"]: check["findings"] for check in document["checks"] if check["findings"]}

    assert status == 1
    assert "head.kernel in tensorflow float32 (1000, 128): drawn and tensorflow are different" in out
    assert "first at (3, 5): drawn " in out
    assert tuple(findings) == told
    assert "rerun: parity check mine:off_by_a_millionth --seed 0 --examples 6 --check loss\n" in out
    assert out.rstrip().splitlines()[-1] == "FAIL: 4 of 4 checks failed: weights, forward, loss, gradients"


@pytest.mark.usefixtures("two_checks")
def test_an_error_in_a_check_exits_3_and_the_report_is_written(here, project, valid):
    """Of the other checks, and of the other pairs: one that cannot be built is one line on standard error."""
    pairs = "mine:broken", "mine:late_error"
    status, out, err = here("check", *pairs, "--examples", "2", "--json", "a.json", "--html", "a.html")
    document = valid("reports", (project / "a.json").read_text())
    weights, forward = document["reports"][0]["checks"]
    told = "the torch builder failed: ZeroDivisionError: in the builder"

    assert (status, err, document["unchecked"]) == (2, f"parity: mine:broken: {told}\n", {"mine:broken": told})
    assert (document["holds"], weights["verdict"], forward["verdict"]) == (False, "identical", "error")
    assert "ZeroDivisionError: in the model" in forward["error"]["message"]
    assert out.rstrip().endswith("ERROR: 1 of 2 checks ended in an error: forward")
    assert "mine:broken was not checked" in Parsed((project / "a.html").read_text()).text
    assert here("check", "mine:late_error", "--examples", "2", "--quiet")[0] == 3


def test_an_interrupt_ends_a_check_with_130(project):
    """What is known by then has come through the pipe."""
    command = [sys.executable, "-m", "parity", "check", "mine:small", "--examples", "100000"]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        head = next(line for line in process.stdout if line.startswith("check  "))
        process.send_signal(signal.SIGINT)
        try:
            rest, _ = process.communicate(timeout=60)
        finally:
            process.kill()

    assert head.rstrip().endswith("largest difference in")
    assert (process.returncode, rest) == (130, "")


def test_tokenizer_trains_twice_alike_and_inspects(parity, project):
    for name in ("one.model", "two.model"):
        result = parity("tokenizer", "train", "corpus.txt", "-o", name, "--vocab-size", 600)

        assert result.returncode == 0
        assert result.stdout.startswith(f"{name}: 600 pieces, sha256 ")
    shown = parity("tokenizer", "inspect", "one.model")

    assert (project / "one.model").read_bytes() == (project / "two.model").read_bytes()
    assert b"corpus.txt" not in (project / "one.model").read_bytes()
    assert [line.split()[-1] for line in shown.stdout.splitlines()[:4]] == ["bpe", "600", "True", "nfkc"]
    assert result.stdout.split()[-1] in shown.stdout
