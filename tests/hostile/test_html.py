"""Whatever a name, a manifest or an answer says is text on every page that is written, never markup."""

import re
from html.parser import HTMLParser
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostile.images import encoded, photograph
from morphoscope.classify.survey.form import FormText, render_form
from morphoscope.configs.survey import SurveyBuilding
from morphoscope.runtime.reporting.report import Figure, Section, Table, write_report

_MARKUP = ["<script>", "</script>", "<img src=x onerror=alert(1)>", "</title>", "<!--", "&lt;", "javascript:"]
_OTHER = ['"', "'", ">", "{{ 7 * 7 }}", "{% x %}", "NF1", " ", "\u202e"]
texts = st.lists(st.sampled_from([*_MARKUP, *_OTHER]), min_size=1, max_size=6).map("".join)


class _Page(HTMLParser):
    """The tags of a page with the names of their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


def _report(folder: Path, name: str) -> _Page:
    section = Section(
        title=name,
        text=name,
        facts=[(name, name)],
        figures=[Figure(encoded(photograph(8, 8), "JPEG"), name)],
        alarms=[name],
        table=Table([name, "n"], [[name, name]]),
        code=name,
    )
    write_report(folder / "report.html", name, name, name, [section])
    return _Page((folder / "report.html").read_text(encoding="utf-8"))


def _form(name: str) -> _Page:
    config = SurveyBuilding(title=name, contact=name)
    text = FormText(name, [name, "other"], [name], config, phantom=True)
    return _Page(render_form(text, 1, [("focused", encoded(photograph(8, 8), "JPEG"))]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=texts)
def test_a_report_has_the_same_tags_whatever_its_text(tmp_path: Path, name: str) -> None:
    page = _report(tmp_path, name)
    assert page.tags == _report(tmp_path, "plain").tags
    assert page.text.count(name) >= 8


@settings(max_examples=60, deadline=None)
@given(name=texts)
def test_a_form_has_the_same_tags_whatever_its_text(name: str) -> None:
    page = _form(name)
    assert page.tags == _form("plain").tags
    assert re.sub(r"\s+", " ", name).strip() in re.sub(r"\s+", " ", page.text)
