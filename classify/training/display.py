"""Progress of the training of several networks: a bar for each on the terminal, and stats.jsonl."""

from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType

from morphoscope.runtime import RunFolder
from morphoscope.runtime.progress import working
from morphoscope.runtime.terminal import say


class Display:
    """Listens to the trainers, and shows and records what they report.

    Args:
        run: folder whose stats.jsonl gets a line per epoch.
        kind: what each network is for: a fold, a region.
    """

    def __init__(self, run: RunFolder, kind: str = "fold") -> None:
        self._run, self._kind = run, kind
        self._bars = ExitStack()

    def __enter__(self) -> "Display":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.close()

    def start(self, name: str, counts: Mapping[str, int], validation: int) -> None:
        """Begin the bar of a network, which ends that of the last one, and say how many images it has.

        Args:
            name: of the fold or region.
            counts: number of training images by kind.
            validation: number of images to validate on.
        """
        self._bars.close()
        listed = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        self._say(f"{self._kind} {name}: {listed} training images, {validation} for validation")
        self._work = self._bars.enter_context(working(f"{self._kind} {name}", unit="steps"))

    def begin(self, name: str, epoch: int) -> None:
        self._run.forget_after("epoch", epoch, **{self._kind: name})

    def step(self, done: int, total: int, epoch: int) -> None:
        self._work.total, self._work.status = total, f"epoch {epoch + 1}"
        self._work.update(done)

    def epoch(self, name: str, epoch: int, **values: float) -> None:
        self._run.append("stats.jsonl", **{self._kind: name}, epoch=epoch + 1, **values)
        validated = values.get("balanced_accuracy")
        found = "" if validated is None else f", balanced accuracy in validation {validated:.3f}"
        self._say(f"{self._kind} {name}, epoch {epoch + 1}: loss {values['loss']:.3f}{found}")

    def _say(self, text: str) -> None:
        """Print one line, above the progress bars."""
        say(text, stderr=True)
