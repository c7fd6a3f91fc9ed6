"""Reports carry their pictures and escape what they show."""

import base64

import numpy as np
from PIL import Image

from morphoscope.runtime.reporting.report import Figure, Section, Table, write_report


def test_report_is_one_file_with_its_pictures(tmp_path):
    picture = tmp_path / "a.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(picture)
    sections = [Section("Title <b>", "text", [("name", "1 < 2")], [Figure(picture, "a caption")])]
    write_report(tmp_path / "report.html", "T", "lead", "notice", sections)
    html = (tmp_path / "report.html").read_text()
    assert "data:image/png;base64," in html
    assert "Title &lt;b&gt;" in html
    assert "1 &lt; 2" in html
    assert "http" not in html


def test_tables_code_and_alarms_are_escaped(tmp_path):
    section = Section(
        "T",
        alarms=["<script>alarm</script>"],
        table=Table(["name", "KID"], [["<i>nf1</i>", "1 < 2"]]),
        code="a: <b>",
    )
    write_report(tmp_path / "report.html", "T", "lead", "notice", [section], wide=True)
    html = (tmp_path / "report.html").read_text()
    for text in ("<script>", "<i>", "<b>"):
        assert text not in html
    assert "<td>&lt;i&gt;nf1&lt;/i&gt;</td><td>1 &lt; 2</td>" in html
    assert "<pre>a: &lt;b&gt;</pre>" in html


def test_figures_are_given_as_text_or_bytes_too():
    for image, kind in [("<svg/>", "svg+xml"), (b"\xff\xd8", "jpeg")]:
        head, _, data = Figure(image, "caption").data_uri.partition(";base64,")
        assert head == f"data:image/{kind}"
        assert base64.b64decode(data) == (image.encode() if isinstance(image, str) else image)
