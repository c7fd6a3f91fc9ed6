"""The report of a training: what it shows of a run folder that is complete, new or damaged."""

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from morphoscope.configs import UserError
from morphoscope.generate.snapshots import KIND
from morphoscope.generate.training.curves import Curve, curve_of, draw_curves
from morphoscope.generate.training.records import Records, Tick
from morphoscope.generate.training.report import write_training_report
from morphoscope.runtime.torch_checkpoints import write_checkpoint

NETWORK = "some-features"


def quality(kernel, ratio=0.9):
    return {
        "generated": 100,
        "real": 80,
        "frechet": 12.5,
        "kernel": kernel,
        "kernel_deviation": 0.01,
        "diversity": 4.0 * ratio,
        "real_diversity": 4.0,
    }


def append(path, *lines):
    with path.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def sheet(path, grey, size=(90, 60)):
    marks = PngInfo()
    marks.add_text("Synthetic", "yes: made by a generator")
    Image.new("RGB", size, (grey, grey, grey)).save(path, pnginfo=marks)


@pytest.fixture
def run(tmp_path):
    """A run of 20 of 40 kimg with three snapshots; the middle one is the best."""
    folder = tmp_path / "00007-nf1"
    folder.mkdir()
    (folder / "config.yaml").write_text("# cohort: abc\nresolution: 64\nkimg: 40.0\nada_target: 0.6\n")
    for kimg in range(1, 21):
        line = {"kimg": float(kimg), "seconds_per_kimg": 30.0, "loss_G": 1 / kimg, "loss_D": 1.0}
        line |= {"augment_p": kimg / 100} if kimg % 2 else {}
        append(folder / "stats.jsonl", line)
    for kimg, kernel in [(5, 0.3), (10, 0.1), (20, 0.2)]:
        append(
            folder / f"metric-{NETWORK}.jsonl",
            {
                "kimg": float(kimg),
                "snapshot": f"snapshot-{kimg:06d}.safetensors",
                "network": NETWORK,
                "overall": quality(kernel),
                "by_condition": {"<b>NF1</b>": quality(kernel, 0.31), "tsc": quality(kernel)},
            },
        )
        write_checkpoint(folder / f"snapshot-{kimg:06d}.safetensors", KIND, {"w": torch.zeros(1)}, {})
        sheet(folder / f"fakes{kimg:06d}.png", 5 * kimg)
    sheet(folder / "reals.png", 200)
    return folder


def html(run):
    return write_training_report(run).read_text(encoding="utf-8")


def cells(page):
    """Rows of all tables, by their first cell."""
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    split = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in rows]
    return {row[0]: row[1:] for row in split}


def embedded_images(page, kind):
    return [base64.b64decode(data) for data in re.findall(rf"data:image/{kind};base64,([^\"]+)", page)]


def test_headline_facts(run):
    page = html(run)
    rows = cells(page)
    assert "20 of 40 kimg (50%)" in page
    assert rows["speed"] == ["30.0 s/kimg, 33.3 images/s; 10 min left, not counting snapshots"]
    assert rows["best snapshot"] == [
        "snapshot-000010.safetensors at 10 kimg: KID (some-features) 0.100 ± 0.010 against the training "
        "images, since none are held out; this favours copies of them"
    ]
    assert rows["augmentation probability p"] == ["0.190"]  # from the newest tick that has it
    assert "SYNTHETIC" in page
    assert "not the FID" in page


def test_newest_quality_by_condition_with_names_escaped(run):
    page = html(run)
    rows = cells(page)
    assert rows["all"] == ["100", "80", "0.200 ± 0.010", "–", "12.50", "–", "0.90"]
    assert rows["&lt;b&gt;NF1&lt;/b&gt;"][-1] == "0.31 (alarm)"
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("kimg: 40.0", "kimg: 400.0"))  # no alarms before 40
    assert cells(html(run))["&lt;b&gt;NF1&lt;/b&gt;"][-1] == "0.31"
    assert "<b>NF1" not in page
    assert rows["condition"][2:5] == [f"KID ({NETWORK})", "KID, held out", f"Fréchet ({NETWORK})"]


def test_held_out_images_choose_the_snapshot_and_show_copies(run):
    test = {"generated": 100, "training": 80, "held_out": 30, "patients": 20, "closer": [0.95, 0.9, 0.98]}
    test |= {"c_t": -9.0, "p_value": 1e-9, "pull": 0.7, "pull_p_value": 2e-4}
    for kimg, kernel in [(5, 0.1), (10, 0.3), (20, 0.2)]:
        report = {"network": NETWORK, "overall": quality(kernel), "by_condition": {"tsc": quality(kernel)}}
        append(
            run / f"metric-{NETWORK}.jsonl",
            {"kimg": float(kimg), "snapshot": f"snapshot-{kimg:06d}.safetensors", **report}
            | {"held_out": report, "copying": {"network": NETWORK, "overall": test, "by_condition": {}}},
        )
    page = html(run)
    rows = cells(page)
    assert rows["best snapshot"][0].startswith("snapshot-000005.safetensors at 5 kimg")
    assert rows["best snapshot"][0].endswith("against 80 held-out images")
    assert rows["all (alarm)"] == [
        "100",
        "30",
        "20",
        "0.95 (0.90 to 0.98)",
        "-9.00",
        "1e-09",
        "0.700",
        "0.0002",
    ]
    assert "Kernel distance to held-out images" in page


def test_newest_sheet_is_shown_beside_real_images_and_stays_marked(run):
    fakes, reals = (Image.open(io.BytesIO(data)) for data in embedded_images(html(run), "jpeg"))
    assert np.asarray(fakes).mean() == pytest.approx(100, abs=2)  # the sheet of 20 kimg
    assert np.asarray(reals).mean() == pytest.approx(200, abs=2)
    assert b"made by a generator" in fakes.info["comment"]


def test_large_sheets_are_scaled_down(run):
    sheet(run / "fakes000030.png", 9, size=(3000, 4000))
    assert Image.open(io.BytesIO(embedded_images(html(run), "jpeg")[0])).size == (1200, 1600)


def described(run, phantom, ancestors):
    """Give the newest snapshot metadata: whether its cohort and each ancestor's are phantoms."""
    metadata = {
        "conditions": ["a"],
        "cohort_digest": "ab12",
        "trained_on_folds": ["0"],
        "started_from": [
            {"cohort_digest": "cd34", "trained_on_folds": ["0"], "phantom": one} for one in ancestors
        ],
        "phantom": phantom,
        "images": 30,
        "generator": {"z_dim": 8, "c_dim": 1, "w_dim": 8, "img_resolution": 8, "img_channels": 3},
    }
    write_checkpoint(run / "snapshot-000020.safetensors", KIND, {"w": torch.zeros(1)}, metadata)


@pytest.mark.parametrize(
    ("phantom", "ancestors", "no_patient"),
    [
        (True, [], True),
        (True, [True, True], True),
        (True, [False], False),  # memorised patients survive further training on phantoms
        (True, [True, False], False),
        (False, [True], False),
    ],
)
def test_no_patient_is_promised_only_if_all_trainings_used_phantoms(run, phantom, ancestors, no_patient):
    described(run, phantom, ancestors)
    page = html(run)
    assert cells(page)["training images"] == ["30"]
    assert ("no patient is shown" in page) == no_patient
    assert ("may resemble the training photographs" in page) != no_patient


def test_the_page_loads_no_other_files(run):
    page = html(run)
    assert len(embedded_images(page, r"svg\+xml")) == 3 + 2  # quality; losses, p
    without_images = re.sub(r"data:image/[^\"]+", "", page)
    assert re.findall(r"(?:src|href)=\"([^\"]*)\"", without_images) == [""] * 7
    assert "http" not in without_images


def test_at_most_ten_alarms_are_shown_newest_first(run):
    append(run / "alarms.jsonl", *({"kimg": float(k), "message": f"<i>alarm {k}</i>"} for k in range(12)))
    page = html(run)
    shown = re.findall(r'<p class="alarm">(.*?)</p>', page)
    assert len(shown) == 10
    assert "Earlier alarms (2) are in alarms.jsonl" in page
    assert shown[0] == "At 11 kimg: &lt;i&gt;alarm 11&lt;/i&gt;"


def test_damaged_lines_and_sheets_are_left_out_with_a_note(run):
    with (run / "stats.jsonl").open("a") as file:
        file.write('[1]\n{"kimg": "soon"}\n{"kimg": 21.0, "loss')
    append(run / f"metric-{NETWORK}.jsonl", {"kimg": 25.0, "network": NETWORK, "overall": 3})
    (run / "fakes000030.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    page = html(run)
    for note in (
        "stats.jsonl: 3 damaged lines",
        f"metric-{NETWORK}.jsonl: 1 damaged line left out",
        "fakes000030.png: cannot be read",
    ):
        assert note in page
    assert "20 of 40 kimg" in page


def test_a_new_run_has_a_report(tmp_path):
    (tmp_path / "config.yaml").write_text("resolution: 64\nkimg: 40.0\n")
    page = html(tmp_path)
    assert "No tick is complete yet." in page
    assert "There is no sheet yet." in page


@pytest.mark.parametrize("text", [None, "[1, 2]", "a: b: c", b"\xff\xfe\x00"])
def test_other_folders_are_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=r"config\.yaml.*run folder"):
        write_training_report(tmp_path)


def test_report_of_a_real_training(tiny_run, tiny_config):
    """The files that a training writes are read back."""
    records = Records.read(tiny_run.path)
    assert records.notes == []
    assert records.metadata.conditions == ["dark", "pale"]
    assert records.config.kimg == tiny_config.training.kimg
    lines = [json.loads(line) for line in (tiny_run.path / "stats.jsonl").read_text().splitlines()]
    assert [tick.as_json() for tick in records.ticks] == lines
    assert {"kimg", "seconds_per_kimg", "memory_gb", "loss_G", "loss_D"} <= lines[-1].keys()


def test_a_curve_has_the_ticks_that_have_a_finite_value():
    lines = [{"kimg": 1.0, "a": 2.0}, {"kimg": 2.0}, {"kimg": 3.0, "a": float("nan")}, {"kimg": 4.0, "a": 6}]
    found = curve_of([Tick.from_json(line) for line in lines], "a", "A", 0)
    assert found.x.tolist() == [1.0, 4.0]
    assert found.y.tolist() == [2.0, 6.0]


def test_long_curves_are_averaged():
    found = curve_of([Tick(float(k), {"a": float(k % 2)}) for k in range(4000)], "a", "A", 0)
    assert len(found.x) == 400
    assert found.y == pytest.approx(0.5)
    assert np.diff(found.x) == pytest.approx(10)


def test_a_chart_is_reproducible_and_takes_any_name():
    one = Curve("$\\_{name}$", np.arange(3.0), np.arange(3.0), None, np.ones(3))
    first, second = (draw_curves([one], "a $ b", line=(0.5, "alarm"), span=(0, 1)) for _ in range(2))
    assert first == second
    assert first.startswith("<svg")
