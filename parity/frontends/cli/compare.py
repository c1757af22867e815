"""`parity compare`: arrays that two environments have stored, neither of which needs to be this one."""

from pathlib import Path

import click

from parity.errors import ParityError
from parity.frontends.cli.console import Output, out, output

PLACE = click.Path(path_type=Path)


@click.command()
@click.argument("first", metavar="A", type=PLACE)
@click.argument("second", metavar="B", type=PLACE)
@click.option("--float64", nargs=2, type=PLACE, metavar="A B", help="The same arrays, computed in float64.")
@output("the comparison", html=False)
def compare(first: Path, second: Path, float64: tuple[Path, Path] | None, output: Output) -> int:
    """Compare two files of arrays, name by name.

    They are .npz, .npy or .safetensors files; neither framework is needed. Two files of parity dump are judged as
    parity check judges. Of others float64 arrays are judged by their own rounding error, and of float32 arrays a small
    difference is undecided, for it may be a bug: --float64 names the files that decide it.

    Exit status: 0 identical or within rounding error, 1 otherwise.

    \b
    Examples:
      parity compare t.safetensors k.safetensors
      parity compare torch.npz keras.npz
      parity compare torch.npz keras.npz --float64 torch64.npz keras64.npz
    """
    from parity.pair import dumped
    from parity.pair.comparison import compare as compared
    from parity.pair.stored import read
    from parity.report import comparison as report

    names = first.name, second.name
    sides = names if names[0] != names[1] else (str(first), str(second))
    arrays = read(first), read(second)
    # Files of parity dump say of themselves which weights and inputs they are of: both precisions are in them.
    files = dumped.of(first, arrays[0]), dumped.of(second, arrays[1])
    if files[0] and files[1]:
        comparison = dumped.compared((files[0], files[1]))
    elif files[0] or files[1]:
        raise ParityError(f"of {first} and {second} only one was written by parity dump")
    else:
        exact = (read(float64[0]), read(float64[1])) if float64 else None
        comparison = compared(*arrays, float64=exact, sides=sides)
    output.write(report.document(comparison, (first, second)))
    report.show(comparison, sides, out, output.quiet)
    return 0 if comparison.holds else 1
