"""Run by torchrun from test_processes.py: an uninterrupted training, and one that is cut and resumed."""

import signal
import sys
from pathlib import Path

from morphoscope.cohort import Cohort
from morphoscope.configs import load_config
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate import train_generator
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.runtime import RunFolder
from morphoscope.runtime.torch_processes import Processes, joined

_CUT_AT = 4  # iterations; within a tick, and between two steps of ADA


def main(cohort_path: Path, config_path: Path, folder: Path) -> None:
    """Leave the run folders `whole` and `cut` in `folder`."""
    cohort = Cohort.load(cohort_path)
    config = load_config(GeneratorTraining, file=config_path)
    with joined("cpu") as processes:
        assert processes.world == 2
        train_generator(config, cohort, RunFolder(folder / "whole"), processes=processes)
        cut_in_the_second_process(config, cohort, folder / "cut", processes)
        train_generator(config, cohort, RunFolder(folder / "cut"), processes=processes)


def cut_in_the_second_process(
    config: GeneratorTraining, cohort: Cohort, run: Path, processes: Processes
) -> None:
    """Train until one of the processes receives SIGTERM; both must then stop together."""
    original = GeneratorTrainer.iterate

    def interrupted(self: GeneratorTrainer) -> object:
        if self.iteration == _CUT_AT and processes.rank == 1:
            signal.raise_signal(signal.SIGTERM)
        return original(self)

    GeneratorTrainer.iterate = interrupted
    try:
        train_generator(config, cohort, RunFolder(run), processes=processes)
    except KeyboardInterrupt:
        return
    finally:
        GeneratorTrainer.iterate = original
    raise AssertionError("the training was not interrupted")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
