"""Progress of a training and the time it will take: a line that redraws itself, or a plain line per tick."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from morphoscope.generate.training.records import Tick
from morphoscope.runtime.terminal import say

# Until then the rate is not typical: kernels are built, caches are cold.
_MEASURED_AFTER = 10.0  # seconds


class TrainingProgress:
    """Context manager that shows kimg, s/kimg, p, r_t, memory and the time left.

    On a terminal one line redraws itself. Elsewhere (a log file, Slurm) `tick` prints a plain line.

    Args:
        total_images: number of real images that the whole training shows.
        start_images: number of images that earlier processes of this run have shown; they count as done, but
            not for the rate.
    """

    def __init__(self, console: Console, total_images: int, start_images: int = 0) -> None:
        self._console = console
        self._total = total_images
        self._seen = start_images
        self._values = ""
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

    def tick(self, tick: Tick) -> None:
        """After each tick, and after the `update` of its last iteration.

        Shows p (augment_p) and r_t (augment_real_sign, the mean sign of D's logits of real images, ADA,
        equation 1; 1 is overfitting) where the augmentation is adapted.
        """
        formats = {
            "seconds_per_kimg": "{:.1f} s/kimg",
            "augment_p": "p {:.3f}",
            "augment_real_sign": "r_t {:+.2f}",
            "memory_gb": "{:.1f} GB",
        }
        shown = [text.format(tick.values[name]) for name, text in formats.items() if name in tick.values]
        self._values = " · ".join(shown)
        if self._bar is not None:
            self._bar.update(self._task, description=self.line())
        else:
            say(f"generator {self.line()}", to=self._console)

    def seconds_left(self) -> float | None:
        """Seconds to the end at this process's mean rate, snapshots included; None while it is unknown."""
        if self._first is None:
            return None
        since, images = self._first
        elapsed = time.monotonic() - since
        if self._seen == images or elapsed < _MEASURED_AFTER:
            return None
        return max(self._total - self._seen, 0) * elapsed / (self._seen - images)

    def line(self) -> str:
        """The state of the training in one line."""
        left = self.seconds_left()
        parts = [f"{self._seen / 1000:.1f} of {self._total / 1000:g} kimg", self._values]
        parts.append("" if left is None else f"{format_duration(left)} left")
        return " · ".join(part for part in parts if part)


def format_duration(seconds: float) -> str:
    """Seconds as text, in at most two units: 90,000 -> "1 d 1 h", 42 -> "42 s"."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
