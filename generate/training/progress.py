"""Progress of a training: images shown, values of the last tick, rate and time left."""

from types import TracebackType

from rich.console import Console

from morphoscope.generate.training.records import Tick
from morphoscope.runtime.progress import working


class TrainingProgress:
    """Context manager that shows images, time left, rate, s/kimg, p, r_t and memory.

    On a terminal one line redraws itself. Elsewhere (a log file, Slurm) there is a line per tick, and others
    where a tick takes long.

    Args:
        total_images: number of real images that the whole training shows.
        start_images: number of images that earlier processes of this run have shown; they count as done, but
            not for the rate.
    """

    def __init__(self, console: Console, total_images: int, start_images: int = 0) -> None:
        self._working = working("generator", total_images, unit="images", done=start_images, to=console)

    def __enter__(self) -> "TrainingProgress":
        self._work = self._working.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._working.__exit__(kind, error, trace)

    def update(self, seen: int) -> None:
        """After each iteration: `seen` real images of the whole training have been shown."""
        self._work.update(seen)

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
        self._work.status = " · ".join(shown)
        self._work.say()

    def line(self) -> str:
        """The state of the training in one line."""
        return self._work.line()
