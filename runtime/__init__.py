"""Infrastructure that does not depend on the field: files, run folders, interruption, statistics, reports.

Modules that import torch have names that begin with `torch_`; `reporting.plots` imports Matplotlib and
`statistics` SciPy. Import those by name: this package and its other modules load none of the three.
"""

from morphoscope.runtime.files import write_atomically, write_text
from morphoscope.runtime.interruption import Interruption
from morphoscope.runtime.run_requests import InputFiles, Request
from morphoscope.runtime.runs import RunFolder

__all__ = ["InputFiles", "Interruption", "Request", "RunFolder", "write_atomically", "write_text"]
