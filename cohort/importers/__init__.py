"""Importers: from common layouts of photographs and labels to a cohort on disk."""

from morphoscope.cohort.importers.classifynf1 import import_classifynf1
from morphoscope.cohort.importers.folders import import_folder
from morphoscope.cohort.importers.generic import import_csv, import_dataset_json
from morphoscope.cohort.importers.gmdb import import_gmdb
from morphoscope.cohort.importers.isic import import_isic
from morphoscope.cohort.importers.siim_isic import import_siim_isic

__all__ = [
    "import_classifynf1",
    "import_csv",
    "import_dataset_json",
    "import_folder",
    "import_gmdb",
    "import_isic",
    "import_siim_isic",
]
