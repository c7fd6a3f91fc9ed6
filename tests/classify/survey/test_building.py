"""Surveys: which images each shows, and that the forms do not reveal the answers."""

import base64
import hashlib
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from morphoscope.classify.survey.building import Surveys, build_surveys, paired_test_rows, plan_surveys
from morphoscope.classify.survey.form import encode_image
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.survey import SurveyBuilding


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(1, 3),
    st.lists(st.integers(3, 7), min_size=1, max_size=3),
    st.integers(0, 99),
)
def test_plan_shows_images_equally_often_and_none_twice_in_a_survey(
    surveys: int, per_condition: int, sizes: list[int], seed: int
) -> None:
    rows = pd.DataFrame(
        [
            {"file": f"{c}{i}{view}", "condition": str(c), "view": view, "group": f"{c}{i}"}
            for c, size in enumerate(sizes)
            for i in range(size)
            for view in ("focused", "panoramic")
        ]
    )
    conditions = [str(c) for c in range(len(sizes))]
    key = plan_surveys(rows, conditions, surveys, per_condition, seed)
    for _, survey in key.groupby("survey"):
        assert survey["file"].is_unique
        assert survey["position"].tolist() == list(range(1, len(survey) + 1))
        half = len(survey) // 2
        assert survey["view"].tolist() == ["focused"] * half + ["panoramic"] * half
        assert set(survey.groupby(["condition", "view"]).size()) == {per_condition}
    for (condition, view), part in rows.groupby(["condition", "view"]):
        seen = key[(key["condition"] == condition) & (key["view"] == view)]["file"].value_counts()
        times = seen.reindex(part["file"], fill_value=0)
        assert times.sum() == surveys * per_condition
        assert times.max() - times.min() <= 1
    assert key.equals(plan_surveys(rows, conditions, surveys, per_condition, seed))


def test_order_within_a_view_is_shuffled(surveys: Surveys) -> None:
    orders = {
        tuple(page["condition"])
        for _, page in surveys.key[surveys.key["view"] == "focused"].groupby("survey")
    }
    assert len(orders) > 1 and any(list(order) != sorted(order) for order in orders)


def test_only_test_patients_seen_in_both_views_are_shown(paired: Cohort, surveys: Surveys) -> None:
    shown = paired.rows.set_index("file").loc[surveys.key["file"]]
    assert set(shown["fold"]) == {"test"}
    assert not shown["group"].str.endswith("-5").any()
    assert len(paired_test_rows(paired, paired.conditions)) == 3 * 5 * 2


def test_views_of_different_lesions_are_not_a_pair(paired: Cohort, tmp_path: Path) -> None:
    """A close-up of an arm and a wider view of a leg cannot be compared."""
    rows = paired.rows.assign(pair=paired.rows["view"])
    apart = Cohort.from_rows(paired.root, rows)
    with pytest.raises(UserError, match="15 panoramic test images do not have exactly one focused"):
        build_surveys(apart, tmp_path / "set", SurveyBuilding(per_condition=1))
    assert not (tmp_path / "set").exists()
    # One patient's arm in both views, and the leg in one: only the arm is shown.
    leg = rows["file"].str.contains("-1-")
    kept = rows[~leg | (rows["view"] == "focused")].assign(pair=leg.map({True: "leg", False: "arm"}))
    kept["group"] = kept["group"].str.replace("-1", "-0")
    shown = paired_test_rows(Cohort.from_rows(paired.root, kept), paired.conditions)
    assert len(shown) == 3 * 4 * 2 and not shown["file"].str.contains("-1-").any()


def test_too_few_images_are_named(paired: Cohort, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"{paired.conditions[0]} \(focused: 5\).*\(panoramic: 5\)"):
        build_surveys(paired, tmp_path / "set", SurveyBuilding(per_condition=6))
    assert not (tmp_path / "set").exists()
    with pytest.raises(UserError, match="no condition moles"):
        build_surveys(paired, tmp_path / "set", SurveyBuilding(conditions=["moles"]))


def test_form_does_not_reveal_the_answers(built: Path, surveys: Surveys) -> None:
    for number in range(1, 5):
        html = (built / "forms" / f"survey-{number:02}.html").read_text()
        page = surveys.key[surveys.key["survey"] == number]
        for word in {*page["file"], *page["group"], *page["file"].str.removesuffix(".png")}:
            assert word not in html
        images = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
        assert len(images) == len(page)
        for image in images:
            with Image.open(io.BytesIO(base64.b64decode(image))) as decoded:
                assert not decoded.getexif() and not {"exif", "comment", "xmp"} & set(decoded.info)
        for condition in surveys.conditions:  # one radio button per question
            assert len(re.findall(rf'type="radio"[^>]*value="{condition}"', html)) == len(page)
    assert not list((built / "forms").glob("*.csv"))


def test_form_sends_no_requests_and_runs_only_its_own_script(built: Path) -> None:
    html = (built / "forms" / "survey-01.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None and policy[1].startswith("default-src 'none'; img-src data:;")
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1]
    assert not re.search(r"https?://", html)


def test_text_from_the_user_is_escaped(paired: Cohort, tmp_path: Path) -> None:
    config = SurveyBuilding(
        surveys=1, per_condition=1, title="<script>alert(1)</script>", specialties=["<b>"]
    )
    build_surveys(paired, tmp_path / "set", config)
    html = (tmp_path / "set" / "forms" / "survey-01.html").read_text()
    assert "<script>alert" not in html and "<b>" not in html and "&lt;b&gt;" in html


def test_image_is_scaled_down_but_never_up() -> None:
    for shape, size in [((100, 400, 3), (200, 50)), ((30, 40, 3), (40, 30))]:
        with Image.open(io.BytesIO(encode_image(np.zeros(shape, np.uint8), 200))) as image:
            assert image.size == size and image.format == "JPEG"


def test_key_is_read_back(built: Path, surveys: Surveys, paired: Cohort, tmp_path: Path) -> None:
    assert surveys.cohort_digest == paired.digest and surveys.phantom
    assert surveys.key["position"].max() == 3 * 2 * 2
    again = build_surveys(paired, tmp_path / "set", SurveyBuilding(surveys=4, per_condition=2))
    assert again.name == surveys.name and again.key.equals(surveys.key)
    assert replace(again, key=surveys.key) == surveys
    other = build_surveys(paired, tmp_path / "other", SurveyBuilding(surveys=4, per_condition=2, seed=1))
    assert other.name != surveys.name
    facts = (tmp_path / "set" / "survey.json").read_text()
    (tmp_path / "set" / "survey.json").write_text(facts.replace(surveys.conditions[0], "moles"))
    with pytest.raises(UserError, match=r"conditions that survey\.json lacks"):
        Surveys.load(tmp_path / "set")
    (tmp_path / "set" / "survey.json").write_text('{"name": 3')
    with pytest.raises(UserError, match=r"damaged survey\.json"):
        Surveys.load(tmp_path / "set")
    with pytest.raises(UserError, match="no such file"):
        Surveys.load(tmp_path)
