"""Whether answers are better than chance: labels are exchanged between families."""

import numpy as np

_EXCHANGES = 9999
_SAME = 1e-12  # sums in another order differ by less


def permutation_p(
    truth: np.ndarray,
    answers: np.ndarray,
    families: np.ndarray,
    *,
    exchanges: int = _EXCHANGES,
    seed: int = 0,
) -> float:
    """One-sided p value of the balanced accuracy, if answers had nothing to do with labels.

    The images of one family with one label keep a label in common. The labels are exchanged between these
    units at random, and the balanced accuracy is computed again. The p value is (1 + number of exchanges that
    are at least as accurate) / (1 + exchanges), which is valid for any number and size of units. Where few
    units allow few different accuracies, it is on the large side.

    Args:
        truth, answers: numbers of labels, int64 [N], N >= 1.
        families: name of each image's family or, without relatives, patient, [N].
        exchanges: number of random exchanges.
        seed: of these.
    """
    classes = int(max(truth.max(), answers.max())) + 1
    _, family = np.unique(families, return_inverse=True)
    units, unit = np.unique(family * classes + truth, return_inverse=True)
    labels = units % classes
    counts = np.zeros((len(units), classes))
    np.add.at(counts, (unit, answers), 1)
    sizes, places = counts.sum(axis=1), np.arange(len(units))
    classes_present = np.unique(labels)

    def accuracy(given: np.ndarray) -> float:
        hits = np.bincount(given, weights=counts[places, given], minlength=classes)
        images = np.bincount(given, weights=sizes, minlength=classes)
        return float((hits[classes_present] / images[classes_present]).mean())

    random, observed = np.random.default_rng(seed), accuracy(labels) - _SAME
    better = sum(accuracy(random.permutation(labels)) >= observed for _ in range(exchanges))
    return (1 + better) / (1 + exchanges)
