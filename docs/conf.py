"""Sphinx settings: `make docs` builds site/ from these pages and from the docstrings.

The build needs no network, and the pages load nothing from other hosts: nobody outside a hospital learns who
reads them.
"""

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / ".typing"), str(HERE)]  # the rooms as one package; this folder's extension

# All at once and first: autodoc adds annotations to the classes that it documents, pydantic's BaseModel among
# them, and pydantic refuses to make models from such a base later.
for room in ("ops", "cohort", "generate", "classify", "apps.cli", "apps.studio"):
    importlib.import_module(f"morphoscope.{room}")

project = "Morphoscope"
copyright = "The Morphoscope developers, Apache-2.0. For research and teaching; not a diagnostic device"
html_title = "Morphoscope"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "reference_pages",
]
myst_enable_extensions = ["colon_fence"]
source_suffix = {".md": "markdown"}

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False

default_role = "code"  # docstrings put names into single backquotes
autodoc_class_signature = "separated"  # without constructors, which few classes are made for
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
add_module_names = False
myst_heading_anchors = 3
