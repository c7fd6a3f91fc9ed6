"""Reports carry their pictures and escape what they show."""

import numpy as np
from PIL import Image

from morphoscope.ops.runtime.report import Figure, Section, write_report


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
