"""Progress of a training: the line of a tick with its values."""

import io

from rich.console import Console

from morphoscope.generate.training.progress import TrainingProgress
from morphoscope.generate.training.records import Tick


def console(terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=160, color_system=None)


def tick(**values):
    return Tick(41.0, {"seconds_per_kimg": 30.0, "memory_gb": 1.23, **values})


def test_a_log_file_gets_one_plain_line_per_tick():
    out = console(terminal=False)
    with TrainingProgress(out, 200_000, 40_000) as shown:
        for index in range(1, 4):
            shown.update(40_000 + 1000 * index)
            shown.tick(tick(augment_p=0.125, augment_real_sign=-0.25, loss_G=0.5))
    lines = out.file.getvalue().splitlines()
    assert lines[0] == "generator: 41,000 of 200,000 images · 30.0 s/kimg · p 0.125 · r_t -0.25 · 1.2 GB"
    assert [line.split()[1] for line in lines] == ["41,000", "42,000", "43,000", "43,000"]
    assert "took" in lines[-1]
    assert "\x1b" not in out.file.getvalue()


def test_missing_values_are_left_out():
    out = console(terminal=False)
    with TrainingProgress(out, 200_000, 1000) as shown:
        shown.tick(tick())
    assert out.file.getvalue().splitlines()[0] == "generator: 1,000 of 200,000 images · 30.0 s/kimg · 1.2 GB"
