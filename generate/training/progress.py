"""How far a training is and how long it will take: a line that redraws itself, or a plain line a tick."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from morphoscope.runtime.terminal import say

# Before this much time the rate is that of a start: kernels are built, caches are cold.
_MEASURED_AFTER = 10.0  # seconds


class TrainingProgress:
    """Context manager that shows kimg, s/kimg, p, r_t, memory and the time left.

    On a terminal one line redraws itself. Elsewhere (a log file, Slurm) `figures` prints a plain line a tick.

    Args:
        total_images: real images that the whole training shows.
        start_images: images that earlier processes of this run have shown; they count as done, but not for
            the rate.
    """

    def __init__(self, console: Console, total_images: int, start_images: int = 0) -> None:
        self._console = console
        self._total = total_images
        self._seen = start_images
        self._figures = ""
        self._first: tuple[float, int] | None = None  # when the first iteration was done, and images seen
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if console.is_terminal:
            self._bar = Progress(
                BarColumn(bar_width=None),
                TextColumn("{task.description}", markup=False),
                console=console,
                expand=True,
            )
            self._task = self._bar.add_task(self.line(), total=total_images, completed=start_images)

    def __enter__(self) -> "TrainingProgress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, seen: int) -> None:
        """After each iteration: `seen` real images of the whole training have been shown."""
        self._seen = seen
        if self._first is None:
            self._first = (time.monotonic(), seen)
        if self._bar is not None:
            self._bar.update(self._task, completed=seen, description=self.line())

    def figures(self, seconds_per_kimg: float, p: float | None, sign: float | None, memory_gb: float) -> None:
        """After each tick, whose `update` came before.

        Args:
            p: augmentation probability; None where it is not adapted.
            sign: r_t, the mean sign of D's logits of real images (ADA, equation 1); 1 is overfitting.
        """
        parts = [f"{seconds_per_kimg:.1f} s/kimg"]
        parts += [] if p is None else [f"p {p:.3f}"]
        parts += [] if sign is None else [f"r_t {sign:+.2f}"]
        self._figures = " · ".join([*parts, f"{memory_gb:.1f} GB"])
        if self._bar is not None:
            self._bar.update(self._task, description=self.line())
        else:
            say(f"generator {self.line()}", to=self._console)

    def seconds_left(self) -> float | None:
        """Time to the end at this process's mean rate so far, snapshots included; None while unknown."""
        if self._first is None:
            return None
        since, images = self._first
        elapsed = time.monotonic() - since
        if self._seen == images or elapsed < _MEASURED_AFTER:
            return None
        return max(self._total - self._seen, 0) * elapsed / (self._seen - images)

    def line(self) -> str:
        """How it stands, in one line."""
        left = self.seconds_left()
        parts = [f"{self._seen / 1000:.1f} of {self._total / 1000:g} kimg", self._figures]
        parts.append("" if left is None else f"{duration(left)} left")
        return " · ".join(part for part in parts if part)


def duration(seconds: float) -> str:
    """Days and hours, hours and minutes, minutes, or seconds: whichever says enough."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
