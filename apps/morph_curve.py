"""What the classifier makes of a morph: probabilities along it."""

import numpy as np
from matplotlib.figure import Figure

from morphoscope.classify import Ensemble
from morphoscope.generate import GeneratorModel


def morph_probabilities(
    model: GeneratorModel, ensemble: Ensemble, a: str, b: str, seed: int, steps: int, psi: float = 0.7
) -> tuple[np.ndarray, np.ndarray]:
    """(shares of b [steps], 0 … 1; combined probabilities [steps, K]) along the morph from a to b."""
    shares = np.linspace(0, 1, steps)
    frames = model.morph(a, b, seed, list(shares), psi)
    return shares, ensemble.predict(frames).combined


def draw_curve(
    shares: np.ndarray, probabilities: np.ndarray, conditions: list[str], ends: tuple[str, str]
) -> Figure:
    """One line a condition; the morph's ends stand out, the others are thin."""
    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    axes = figure.subplots()
    for k, name in enumerate(conditions):
        prominent = name in ends
        axes.plot(
            shares, probabilities[:, k], label=name, linewidth=2.6 if prominent else 1.1, zorder=2 + prominent
        )
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1.02),
        xlabel=f"share of {ends[1]} (the rest is {ends[0]})",
        ylabel="probability",
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
