"""The commands of a cohort start without the libraries that only training and reports need."""

import subprocess
import sys


def test_the_room_loads_neither_torch_nor_scipy_nor_matplotlib() -> None:
    program = (
        "import importlib, pkgutil, sys, morphoscope.cohort as room\n"
        "for found in pkgutil.walk_packages(room.__path__, 'morphoscope.cohort.'):\n"
        "    importlib.import_module(found.name)\n"
        "print(*{'torch', 'scipy', 'matplotlib', 'gradio', 'sklearn', 'pywt'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
