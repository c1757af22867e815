"""Axes, scales and curves of a page's drawings, by matplotlib, as SVG that has the page's own colours and fonts.

matplotlib is an extra: without it nothing is drawn, and the page says so. Nothing here decides anything.
"""

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache, wraps
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, cast

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes

P = ParamSpec("P")
Curve = tuple[str, tuple[float, ...], str, str]  # its name, values, colour and line style
WIDE, HIGH = 360, 240  # of a drawing, in its own units, which the page scales
INK, MUTED, LINE, TRACK = "#1c2127", "#59626d", "#dcdfe3", "#eceef0"
FIRST, SECOND, BAD = "#b53d09", "#2657c1", "#bc1a2c"
# A colour of matplotlib's SVG -> the page's, which is another in the dark and on paper.
COLOURS = {INK: "ink", MUTED: "muted", LINE: "line", TRACK: "track", FIRST: "first", SECOND: "second", BAD: "bad"}
NUMBER = "\ue000"  # stands in a drawing's ids for its number on the page
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text as text, in the page's font, not as outlines
    "svg.hashsalt": "parity",  # ids are hashes, and without a salt of its own matplotlib draws one at random
    "text.parse_math": False,  # a name may have a dollar in it
    "axes.unicode_minus": False,
    "font.size": 11,
    "font.sans-serif": ["DejaVu Sans"],  # which comes with matplotlib
    "text.color": MUTED,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "grid.color": LINE,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.markersize": 5,
}
SHADES = 64  # steps of a heat map's colour
KEYS = 3  # of a legend, in a row
LONGEST = 20  # characters of a name beside an axis


def available() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


@contextmanager
def _styled() -> Iterator[None]:
    """Draw in the page's style, whatever the user has configured; a glyph that no font has is the browser's to find."""
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def drawing(draw: Callable[P, "Axes"]) -> Callable[Concatenate[str, P], Markup]:
    """Make a function that draws axes one that returns SVG, and takes what the drawing is called as its first argument.

    Drawings are cached by their arguments, which must be hashable. What cannot be drawn is empty markup; nothing is
    raised.
    """

    @lru_cache(maxsize=64)
    @wraps(draw)
    def drawn(label: str, /, *args: Any, **kwargs: Any) -> Markup:
        text = io.StringIO()
        with _styled(), suppress(Exception):  # numbers that matplotlib has no scale for cost a picture, and no page
            figure = cast(Any, draw(*args, **kwargs).figure)
            unsaid = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # the same figures give the same bytes
            figure.savefig(text, format="svg", transparent=True, metadata=unsaid)
            return _inline(text.getvalue(), label)
        return Markup()

    return cast(Callable[Concatenate[str, P], Markup], drawn)


def _axes(high: int = HIGH, left: int = 56, bottom: int = 44, right: int = 14, top: int = 12) -> "Axes":
    """Make axes in a figure of their own, with so much room on each side, in the drawing's units."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # Inches, of 72 units each. Not by pyplot, which keeps every figure and may open a window.
    figure = Figure(figsize=(WIDE / 72, high / 72))
    FigureCanvasSVG(figure)
    box = left / WIDE, bottom / high, (WIDE - left - right) / WIDE, (high - bottom - top) / high
    return figure.add_axes(box)


def _inline(svg: str, label: str) -> Markup:
    """The drawing as a part of a page: no ids but those that it refers to itself, and none of its own fonts."""
    inner = re.search(r"<svg [^>]*>(.*)</svg>", svg, re.DOTALL)
    assert inner is not None  # matplotlib writes one
    # Styles and fonts are left to the page, nothing needs clipping, and one digit of a coordinate is enough.
    text = re.sub(
        r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>|<!--.*?-->", "", inner[1], flags=re.DOTALL
    )
    text = re.sub(r"font: (?:[\w-]+ )*([\d.]+px) [^;\"]*", r"font-size: \1", text)
    text = re.sub(r"font-family: [^;\"]*; ", "", text)
    text = re.sub(r' ?clip-path="url\([^"]*\)"', "", text)
    text = re.sub(r"<clipPath.*?</clipPath>", "", text, flags=re.DOTALL)
    used = set(re.findall(r'xlink:href="#([^"]+)"', text))
    text = re.sub(r' id="([^"]*)"', lambda match: f' id="{NUMBER}{match[1]}"' if match[1] in used else "", text)
    text = text.replace('xlink:href="#', f'href="#{NUMBER}').replace("xlink:href", "href")
    text = re.sub(r' d="[^"]*"', lambda path: re.sub(r"\d+\.\d+", lambda n: f"{float(n[0]):.1f}", path[0]), text)
    for colour, name in COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    text = re.sub(r"\s*\n\s*", " ", re.sub(r"<defs>\s*</defs>|" + "</?g>" * ("<g " not in text), "", text))
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box is not None  # matplotlib writes it, too
    return Markup(f'<svg class="plot" {box[0]} role="img" aria-label="{escape(label)}">{text}</svg>')


def numbered(html: str) -> str:
    """A page in which each drawing's ids begin with its number: two drawings of one page must not share an id."""
    parts = re.split('(?=<svg class="plot")', html)
    return "".join(part.replace(NUMBER, f"d{place}-") for place, part in enumerate(parts))  # the first has no drawing


def _power(value: float, _: int = 0) -> str:
    """A tick's label: the power of ten."""
    return f"1e{round(math.log10(value)):+03d}" if value > 0 else "0"


def _logarithmic(ax: "Axes", which: str) -> None:
    """Give an axis of a plot a logarithmic scale, with few ticks: a page has many small plots."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    getattr(ax, f"set_{which}scale")("log")
    axis = getattr(ax, f"{which}axis")
    axis.set_major_locator(LogLocator(numticks=5))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(_power))


def short(name: str) -> str:
    """A name that fits beside an axis: its end, which tells it from others."""
    return name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"


@drawing
def heat_map(
    cells: tuple[tuple[float, ...], ...], limit: float, axes: tuple[str, ...], sizes: tuple[int, ...]
) -> "Axes":
    """|difference| over two axes of an array, or one, by its power of ten; what is within the limit is grey.

    `cells` are the largest differences of as many parts of the axes, whose sizes are `sizes`.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colorbar import Colorbar
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    high = max(110, min(HIGH, 60 + 20 * len(cells)))
    ax = _axes(high, right=70)
    misses = [cell for row in cells for cell in row if limit < cell < math.inf]
    top = max(misses, default=1.0)
    low = min(min(misses, default=top), top / 10)
    # One hue, ever less transparent, is as much lighter than the largest by day as it is darker by night.
    hue = [(0.83, 0.18, 0.27, alpha) for alpha in (0.15, 1.0)]
    shades = LinearSegmentedColormap.from_list("differences", hue, SHADES)
    norm = LogNorm(low, top, clip=True)
    grey, clear = (0.5, 0.5, 0.5, 0.3), (0.5, 0.5, 0.5, 0.08)
    colours = [[shades(norm(min(c, top))) if c > limit else grey if c > 0 else clear for c in row] for row in cells]
    down = sizes[0] if len(axes) > 1 else 1
    ax.imshow(colours, aspect="auto", interpolation="nearest", extent=(-0.5, sizes[-1] - 0.5, down - 0.5, -0.5))
    for axis, size in ((ax.xaxis, sizes[-1]), (ax.yaxis, down)):
        axis.set_ticks(sorted({0, size // 4, size // 2, 3 * size // 4, size - 1}) if size > 8 else range(size))
    if len(axes) == 1:
        ax.set_yticks([])
    else:
        ax.set_ylabel(axes[0])
    ax.set_xlabel(axes[-1])
    beside = ax.figure.add_axes(((WIDE - 62) / WIDE, 44 / high, 10 / WIDE, (high - 56) / high))
    bar = Colorbar(beside, ScalarMappable(norm, shades))
    bar.outline.set_visible(False)
    _logarithmic(beside, "y")
    return ax


@drawing
def scatter(pairs: tuple[tuple[float, float], ...], limit: float, sides: tuple[str, str]) -> "Axes":
    """The second side's values over the first's, (first, second) each; equal ones lie on the diagonal.

    Those that are further apart than the limit have another colour, and are drawn above the others.
    """
    ax = _axes()
    low, high = min(map(min, pairs)), max(map(max, pairs))
    ax.plot([low, high], [low, high], color=LINE, linewidth=1.2, zorder=0)
    for apart, colour in ((False, MUTED), (True, BAD)):
        chosen = [pair for pair in pairs if (abs(pair[0] - pair[1]) > limit) == apart]
        ax.plot(*(zip(*chosen, strict=True) if chosen else ((), ())), "o", color=colour, markersize=4, alpha=0.8)
    ax.set_xlabel(short(sides[0]))
    ax.set_ylabel(short(sides[1]))
    ax.locator_params(nbins=5)
    return ax


@drawing
def histogram(decades: tuple[tuple[int, int], ...], marks: tuple[tuple[str, float], ...]) -> "Axes":
    """How many elements differ by which power of ten, beside the marks: what rounding does, and the limit.

    `decades` are (n, how many elements are from 10^n on and below 10^(n + 1) apart), `marks` (name, place).
    """
    ax = _axes(top=34)
    places, counts = zip(*decades, strict=True)
    ax.bar([10.0**n for n in places], counts, width=[9 * 10.0**n for n in places], align="edge", color=MUTED)
    _logarithmic(ax, "x")
    for (name, place), style in zip(marks, ("-", ":"), strict=False):
        ax.axvline(place, color=INK, linestyle=style, linewidth=1.5, label=name)
    if marks:
        ax.legend(loc="lower left", bbox_to_anchor=(-0.05, 1.0), ncols=2, handlelength=1.6, columnspacing=1.2)
    ax.set_xlabel("|difference|")
    ax.set_ylabel("elements")
    ax.locator_params("y", nbins=4, integer=True)
    return ax


@drawing
def lines(
    series: tuple[Curve, ...],
    across: str,
    log: bool = False,
    names: tuple[str, ...] = (),
    marked: tuple[int, ...] = (),
) -> "Axes":
    """Curves over the steps of something; `names` are of the steps, some of which are marked.

    What is not finite, and on a logarithmic axis what is zero, is left out.
    """
    long = max((len(short(name)) for name in names), default=0)
    bottom = 12 + 6 * long if names else 44
    top = 16 + 18 * -(-len(series) // KEYS)
    ax = _axes(HIGH - 78 + bottom + top, bottom=bottom, top=top)
    begin = 0 if names else 1
    for name, values, colour, style in series:
        shown = [value if math.isfinite(value) and (value > 0 or not log) else math.nan for value in values]
        dots = "o" if len(shown) <= 25 and style != ":" else ""
        ax.plot(range(begin, begin + len(shown)), shown, style, marker=dots, color=colour, label=name)
    if log:
        _logarithmic(ax, "y")
    for place in marked:
        ax.axvspan(place - 0.4, place + 0.4, color=BAD, alpha=0.15, linewidth=0)
    if names:
        every = max(1, -(-len(names) // 16))
        places = sorted({*range(0, len(names), every), *marked}) if every > 1 else range(len(names))
        ax.set_xticks(list(places), [short(names[place]) for place in places], rotation=90, fontsize=10)
    ax.set_xlabel(across)
    ax.legend(loc="lower left", bbox_to_anchor=(-0.05, 1.0), ncols=KEYS, handlelength=1.6, columnspacing=1.2)
    return ax


def sides(names: Sequence[str], runs: Mapping[str, Sequence[float]]) -> tuple[Curve, ...]:
    """Both sides' curves, the first one whole and the second one dashed, so that equal ones show both."""
    looks = (FIRST, "-"), (SECOND, "--")
    return tuple((short(name), tuple(runs[name]), *look) for name, look in zip(names, looks, strict=False))
