"""Progress of an ensemble's training: a bar per fold on the terminal, and stats.jsonl in the run folder."""

from contextlib import ExitStack
from types import TracebackType

from morphoscope.classify.training.plans import FoldPlan
from morphoscope.runtime import RunFolder
from morphoscope.runtime.progress import working
from morphoscope.runtime.terminal import say


class Display:
    """Listens to the folds' trainers, and shows and records what they report."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._bars = ExitStack()

    def __enter__(self) -> "Display":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.close()

    def start(self, plan: FoldPlan) -> None:
        """Begin the bar of a fold, which ends that of the last one, and say how many images it has."""
        self._bars.close()
        counts = ", ".join(f"{count} {kind}" for kind, count in plan.counts.items())
        self._say(f"fold {plan.fold}: {counts} training images, {len(plan.validation)} for validation")
        self._work = self._bars.enter_context(working(f"fold {plan.fold}", unit="steps"))

    def begin(self, fold: str, epoch: int) -> None:
        self._run.forget_after("epoch", epoch, fold=fold)

    def step(self, done: int, total: int, epoch: int) -> None:
        self._work.total, self._work.status = total, f"epoch {epoch + 1}"
        self._work.update(done)

    def epoch(self, fold: str, epoch: int, **values: float) -> None:
        self._run.append("stats.jsonl", fold=fold, epoch=epoch + 1, **values)
        self._say(
            f"fold {fold}, epoch {epoch + 1}: loss {values['loss']:.3f}, "
            f"balanced accuracy in validation {values['balanced_accuracy']:.3f}"
        )

    def _say(self, text: str) -> None:
        """Print one line, above the progress bars."""
        say(text, stderr=True)
