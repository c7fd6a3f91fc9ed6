"""`classify train --held-out-conditions`: what is refused leaves no run folder behind."""

from pathlib import Path

import pytest

from morphoscope.cohort import phantom


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--held-out-conditions", "nope"], "A condition to leave out takes one of HMI, IP"),
        (["--held-out-conditions", "all", "--nested"], "--held-out-conditions: not with --nested"),
        (["--held-out-conditions", "all", "--repeats", "2"], "--held-out-conditions: not with --nested"),
        (["--folds", "0", "--repeats", "2"], "train on every fold"),
        (["--held-out-conditions", "all", "--synthetic", "x"], "whose generator has seen every condition"),
    ],
)
def test_refused(command_line, tmp_path: Path, arguments: list[str], message: str) -> None:
    phantom(tmp_path / "cohort", per_condition=6, size=32).split(folds=2, test_fraction=0.3).save()
    run = tmp_path / "run"
    code, _, err = command_line("classify", "train", str(tmp_path / "cohort"), "--run", str(run), *arguments)
    assert code == 2 and message in err
    assert not run.exists()
