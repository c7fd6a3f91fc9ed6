"""Progress of an ensemble's training: a bar per fold on the terminal, and stats.jsonl in the run folder."""

from types import TracebackType

from morphoscope.classify.training.plans import FoldPlan
from morphoscope.runtime import RunFolder
from morphoscope.runtime.terminal import progress, say


class Display:
    """Listens to the folds' trainers, and shows and records what they report."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._progress = progress()
        self._fold = ""

    def __enter__(self) -> "Display":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def start(self, plan: FoldPlan) -> None:
        """Add a bar for a fold and say how many images it has."""
        self._fold = plan.fold
        self._task = self._progress.add_task(f"fold {plan.fold}", total=None)
        counts = ", ".join(f"{count} {kind}" for kind, count in plan.counts.items())
        self._say(f"fold {plan.fold}: {counts} training images, {len(plan.validation)} for validation")

    def begin(self, fold: str, epoch: int) -> None:
        self._run.forget_after("epoch", epoch, fold=fold)

    def step(self, done: int, total: int, epoch: int) -> None:
        description = f"fold {self._fold}, epoch {epoch + 1}"
        self._progress.update(self._task, completed=done, total=total, description=description)

    def epoch(self, fold: str, epoch: int, **values: float) -> None:
        self._run.append("stats.jsonl", fold=fold, epoch=epoch + 1, **values)
        self._say(
            f"fold {fold}, epoch {epoch + 1}: loss {values['loss']:.3f}, "
            f"balanced accuracy in validation {values['balanced_accuracy']:.3f}"
        )

    def _say(self, text: str) -> None:
        """Print one line above the progress bars."""
        say(text, to=self._progress.console)
