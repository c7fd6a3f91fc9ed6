"""Images and labels on disk: manifest, importers, checks, folds and training-size arrays.

A cohort is a folder (or uncompressed zip) of RGB images with a `manifest.csv`, one row per image:

| column | meaning |
|---|---|
| file | path relative to the folder, forward slashes |
| condition | label name |
| group | patient or source image; all views and crops of one source share it, and all are in one fold |
| view | focused, panoramic, face or other |
| fold | "0" … "k-1", "test", or empty (not assigned; always empty for synthetic rows) |
| source | real or synthetic |
| pair | optional: distinguishes the lesions of one group, for tests that compare both views of a lesion |
| mask | optional: path of the lesion mask (white = lesion); other loaders skip a name like x.png.mask |
| generator | synthetic rows: digest of the generator |
| seed, label, psi | synthetic rows: seed, mixture of conditions as JSON, truncation |
| trained_on_folds | synthetic rows: the folds that the generator was trained on, as a JSON list of names |
| trained_on_cohort | synthetic rows: digest of the cohort (with its split) whose folds those are |
| ancestor_cohorts | optional: digests of other cohorts that its earlier trainings used, as a JSON list |

In place of a digest the last two may say "foreign", of a model whose training images are unknown.

Any further columns are kept. `dataset.json`, the label file of the StyleGAN tools, is written beside it.
Every cell is a string in `Cohort.rows`.

    cohort = import_isic(Path("ham10000.zip"), Path("cohorts/ham"))   # or import_folder, import_csv, …
    print(cohort.check())
    cohort = cohort.split(folds=5, seed=0, test_fraction=0.2)
    cohort.save()
    train = cohort.select(cohort.rows["fold"].isin(["1", "2", "3", "4"]))
    train.images(64), train.labels                                     # uint8 [N, 64, 64, 3], int64 [N]

Importers strip metadata (EXIF with its GPS position, comments, previews …) from every photograph without
changing a pixel, and absolute paths from tables; file names are kept. Tables are read exactly: a row with
more or fewer fields than the header is an error that names its line. Names of conditions and groups are
normalised once, before anything is written (Unicode NFC, single blanks between words, none around them, `10`
for `10.0`); an empty cell, NaN, None, NA and the like mean that a value is unknown. Whatever is ambiguous is
refused, or logged as a warning, before anything is copied.

Errors that a user can fix (unreadable files, missing labels, paths that lead out of the folder, patients in
two folds …) raise `morphoscope.configs.UserError`; one message lists all findings of an operation.
"""

from morphoscope.cohort.checks import CheckReport
from morphoscope.cohort.cohort import Cohort
from morphoscope.cohort.costs import MAX_PIXELS
from morphoscope.cohort.exporting import export_dataset_json, export_folders
from morphoscope.cohort.importers import (
    import_classifynf1,
    import_csv,
    import_dataset_json,
    import_folder,
    import_gmdb,
    import_isic,
    import_siim_isic,
)
from morphoscope.cohort.joining import join_cohorts
from morphoscope.cohort.manifest import TEST_FOLD, Problem
from morphoscope.cohort.phantom import PHANTOM_CONDITIONS, PhantomImage, phantom, phantom_image
from morphoscope.cohort.provenance import Provenance
from morphoscope.cohort.reading import read_image, write_image
from morphoscope.cohort.resizing import Fit, square
from morphoscope.cohort.run_input import CohortInput
from morphoscope.cohort.storage import new_folder

__all__ = [
    "MAX_PIXELS",
    "PHANTOM_CONDITIONS",
    "TEST_FOLD",
    "CheckReport",
    "Cohort",
    "CohortInput",
    "Fit",
    "PhantomImage",
    "Problem",
    "Provenance",
    "export_dataset_json",
    "export_folders",
    "import_classifynf1",
    "import_csv",
    "import_dataset_json",
    "import_folder",
    "import_gmdb",
    "import_isic",
    "import_siim_isic",
    "join_cohorts",
    "new_folder",
    "phantom",
    "phantom_image",
    "read_image",
    "square",
    "write_image",
]
