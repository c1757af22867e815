"""What is seen while long work goes on: bars and live lines on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from parity.errors import visible

LINES = 10  # of losses, over a whole training: a log has as many, however long it trains


@dataclass(frozen=True)
class Bar:
    """Moves on and shows a word at each call."""

    progress: Progress
    task: TaskID
    counted: bool = False

    def __call__(self, word: str) -> None:
        """Move the bar on by one step, and show this word; where they are `counted`, print every tenth part of them."""
        self.progress.update(self.task, description=word, advance=1)
        done, total = (int(of or 0) for of in (self.progress.tasks[0].completed, self.progress.tasks[0].total))
        if self.counted and (done % max(1, total // LINES) == 0 or done == total):
            self.progress.console.print(f"{done:,} of {total:,}: {word}", soft_wrap=True)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Inside, there is room for lines on another stream: on the same terminal the bar would tear them."""
        self.progress.stop()
        try:
            yield
        finally:
            self.progress.start()


@contextmanager
def progress(console: Console, total: int, counted: bool = False) -> Iterator[Bar]:
    """Give a bar of `total` steps, which is gone when the work ends.

    Where there is no terminal it shows nothing, or, `counted`, a line at each tenth part.
    """
    shown = Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with shown:
        yield Bar(shown, shown.add_task("starting", total=total), counted and not console.is_terminal)


@contextmanager
def losses(console: Console, steps: int) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """Give what shows the sides' losses beside each other: a bar at every step, a line at every tenth part."""
    every = max(1, steps // LINES)
    with progress(console, steps) as tick:

        def show(step: int, of_side: Mapping[str, float]) -> None:
            text = "  ".join(f"{side} {loss:.6f}" for side, loss in of_side.items())
            tick(f"step {step}")
            if step == 1 or step % every == 0 or step == steps:
                apart = max(of_side.values()) - min(of_side.values())
                gap = f"  apart {apart:.1e}" if len(of_side) > 1 else ""
                console.print(f"step {step:>5}  {text}{gap}")

        yield show


@contextmanager
def speaking(console: Console, prompt: str) -> Iterator[Callable[[Mapping[str, str]], None]]:
    """Give what shows the prompt, and below it each side's text as it grows; without a terminal the final text only."""

    def table(said: Mapping[str, str]) -> Table:
        grid = Table.grid(padding=(0, 2))
        grid.add_row(Text("prompt", style="dim"), Text(visible(prompt)))
        for side, text in said.items():
            grid.add_row(Text(side, style="dim"), Text(visible(text)))
        return grid

    with Live(table({}), console=console, auto_refresh=False) as live:
        yield lambda said: live.update(table(said), refresh=True)
    if not console.is_terminal:
        console.print()
