"""Runs the cells of a study with Snakemake, and finds out which of them failed."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from morphoscope.apps.study.cell import Store
from morphoscope.apps.study.plan import StudyPlan
from morphoscope.apps.study.workflow import guard
from morphoscope.configs import UserError
from morphoscope.configs.user_files import read_regular
from morphoscope.runtime import write_text
from morphoscope.runtime.progress import working

LOGS = "logs"
COMMAND = [sys.executable, "-m", "morphoscope.apps"]
"""How a cell's rule calls `morphoscope`."""

_HERE = Path(__file__).parent
_LAST_LINES = 5
_MOST_LOG_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Engine:
    """How the cells are run.

    Attributes:
        cores: used on this machine at once.
        threads: of each cell.
        device: of each cell; if it is a GPU, a cell that trains requests one.
        profile: a Snakemake profile, `slurm` or a folder; None for this machine.
        dry_run: say what would be done.
    """

    cores: int
    threads: int
    device: str
    profile: str | None
    dry_run: bool

    def run(self, run: Path, store: Store) -> None:
        """Run the cells that are not finished; a failed one does not stop the others.

        Raises:
            UserError: Snakemake is not installed, or cannot read the workflow or the profile.
            KeyboardInterrupt: stopped; finished cells are kept.
        """
        run = run.resolve()
        write_text(run / "engine.json", json.dumps(self._config(run, store)) + "\n")
        lock = run / LOGS / "engine.lock"
        lock.parent.mkdir(exist_ok=True)
        _wait_for_earlier(lock)
        guarded = [sys.executable, "-m", guard.__name__, str(lock), *self._command(run)]
        process = subprocess.Popen(guarded, stdin=subprocess.PIPE, start_new_session=True)
        try:
            code = process.wait()
        finally:  # after Ctrl-C this stops Snakemake and its cells, which save what they have
            process.communicate()
        if code not in (0, 1):  # 1: a cell failed
            raise UserError(f"Snakemake ended with code {code}; its messages are above.")

    def _config(self, run: Path, store: Store) -> dict[str, object]:
        return {
            "run": str(run),
            "here": str(Path.cwd()),
            "store": str(store.path.resolve()),
            "device": self.device,
            "threads": self.threads,
            "gpus": int(self.device.startswith("cuda")),
            "morphoscope": shlex.join(COMMAND),
        }

    def _command(self, run: Path) -> list[str]:
        words = [
            _snakemake(),
            "--snakefile",
            str(_HERE / "Snakefile"),
            "--configfile",
            str(run / "engine.json"),
        ]
        words += ["--directory", str(run), "--nolock", "--keep-going", "--rerun-incomplete"]
        words += ["--rerun-triggers", "mtime", "--quiet", "rules"]
        if self.profile is None:
            words += ["--cores", str(self.cores)]
        else:
            own = _HERE / "profiles" / self.profile
            words += ["--profile", str(own if own.is_dir() else self.profile)]
        return [*words, "--dry-run"] if self.dry_run else words


def _wait_for_earlier(lock: Path) -> None:
    """Wait for cells of a run that was killed, until they have saved what they have."""
    if guard.is_running(lock):
        with working("Waiting for the cells of the stopped run", transient=True):
            while guard.is_running(lock):
                time.sleep(guard.LOOK_EVERY)


def _snakemake() -> str:
    """The program: beside this Python, or on the PATH."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which("snakemake", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    if found is None:
        raise UserError(
            "Snakemake is not installed: pip install 'morphoscope[study]', or put the program `snakemake` of "
            "another environment on the PATH. Cells can also be run one by one: morphoscope study cell."
        )
    return found


@dataclass(frozen=True)
class Failure:
    """A cell that did not finish.

    Attributes:
        name: of the cell.
        lines: the last ones of its log; empty if it was not started, since a cell that it needs has failed.
    """

    name: str
    lines: list[str]


def failures(run: Path, plan: StudyPlan, store: Store) -> list[Failure]:
    """The cells without a result, those that were started first."""
    found = []
    for name, cell in plan.cells.items():
        if not store.is_finished(cell):
            log = run / LOGS / f"{name}.log"
            text = read_regular(log, _MOST_LOG_BYTES).decode(errors="replace") if log.is_file() else ""
            found.append(Failure(name, text.strip().splitlines()[-_LAST_LINES:]))
    return sorted(found, key=lambda failure: not failure.lines)
