"""`morphoscope gestalt train`, and what `rank` and `evaluate` do with a file of region networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morphoscope.apps.commands.gestalt.galleries import KeepFlagged, print_left_out
from morphoscope.apps.commands.options import (
    CohortPath,
    ConfigFile,
    Device,
    Overwrite,
    Run,
    Set,
    comma_list,
    option,
    run_folder,
)
from morphoscope.configs import UserError, load_config
from morphoscope.configs.faces import RegionTraining
from morphoscope.runtime.terminal import say, show, table

if TYPE_CHECKING:
    from morphoscope.classify.gestalt.region_networks import RegionEvaluation, RegionNetworks, RegionRanking


def train(
    path: CohortPath,
    run: Run = None,
    overwrite: Overwrite = False,
    start_from: Annotated[
        Path | None,
        typer.Option(
            help="File of region networks whose weights are the first ones, e.g. networks that were trained "
            "to tell people apart."
        ),
    ] = None,
    exclude_folds: Annotated[
        str,
        typer.Option(
            help="Comma-separated folds to hold out and evaluate at the end, besides the fold test."
        ),
    ] = "",
    column: Annotated[
        str, typer.Option(help="Column of the manifest that holds the labels, e.g. a person or a gene.")
    ] = "condition",
    only: Annotated[
        str, typer.Option(help="Only faces of this condition, e.g. with --column gene within one syndrome.")
    ] = "",
    against_rest: Annotated[
        str, typer.Option(help="Tell this label from all others, which become one label.")
    ] = "",
    keep_flagged: KeepFlagged = False,
    epochs: Annotated[int | None, option(RegionTraining, "epochs")] = None,
    batch: Annotated[int | None, option(RegionTraining, "batch")] = None,
    width: Annotated[float | None, option(RegionTraining, "width")] = None,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(RegionTraining, "seed")] = None,
) -> None:
    """Train a network for each region of the face, as DeepGestalt does. Re-run with the same --run to resume.

    Train on many people first, then on syndromes with --start-from.
    """
    settings = load_config(
        RegionTraining, file=config, overrides=set_, epochs=epochs, batch=batch, width=width, seed=seed
    )

    from morphoscope.classify.gestalt.region_networks import Question, RegionTrainingRun
    from morphoscope.cohort import Cohort

    training = RegionTrainingRun(
        settings,
        Cohort.load(path),
        Question(column, only, against_rest),
        exclude_folds=comma_list(exclude_folds),
        start_from=start_from,
        keep_flagged=keep_flagged,
        device=device,
    )
    folder = run_folder(run, f"{path.stem}-regions")
    model, found = training.train(folder, overwrite)
    print_left_out(training.faces.left_out, training.faces.flagged)
    if found is not None:
        print_evaluation(found)
    say(f"Networks: {folder.path / 'regions.safetensors'}, for {len(model.metadata.syndromes)} labels")


def open_networks(path: Path, **others: object) -> "RegionNetworks | None":
    """The region networks in a file, None if it is something else.

    Args:
        others: options that are for galleries alone, by name; UserError if one is given with networks.
    """
    from morphoscope.classify.gestalt.region_networks import RegionNetworks, are_region_networks

    if not are_region_networks(path):
        return None
    given = [f"--{name}" for name, value in others.items() if value is not None]
    if given:
        raise UserError(f"{', '.join(given)}: only for galleries; {path} holds region networks.")
    return RegionNetworks.load(path)


def print_ranking(ranking: "RegionRanking", top: int) -> None:
    """The first labels with their gestalt scores, and the regions that put each first."""
    rows = [
        (str(place + 1), name, f"{ranking.scores[place]:.3f}", ", ".join(ranking.first_of(place)) or "none")
        for place, name in enumerate(ranking.syndromes[:top])
    ]
    show(table(["rank", "syndrome", "gestalt score", "first for the regions"], rows))
    for flag in ranking.flags:
        say(f"The photograph is not ideal: {flag}.")
    say(
        "The scores are among these syndromes alone: a face that has none of them also gets a first. This is "
        "no diagnosis."
    )


def print_evaluation(found: "RegionEvaluation") -> None:
    """Accuracy of the gestalt score, and of each region alone."""
    from morphoscope.runtime.statistics import format_estimate, format_p

    protocol = found.protocol
    say(
        f"{protocol.images} images of {protocol.patients} unseen patients, {protocol.syndromes} of "
        f"{protocol.candidates} labels"
    )
    rows = [
        (f"top {depth}", format_estimate(estimate), f"{protocol.chance[depth]:.3f}")
        for depth, estimate in protocol.accuracy.items()
    ]
    rows += [
        (f"top 1, {name} alone", format_estimate(estimate), f"{protocol.chance[1]:.3f}")
        for name, estimate in found.regions.items()
    ]
    show(table(["", "accuracy", "chance"], rows))
    say(
        "Means over labels, with 95% intervals by patient. Top 1 against labels exchanged between families: "
        f"{format_p(found.p, named=True)} (permutation test)"
    )
    if found.known:
        say(f"Not tested: {found.known} images, since the networks have seen their patients or relatives.")
    if found.foreign:
        say(f"Not tested: {found.foreign} images of labels that the networks do not know.")
    if found.left_out:
        say(f"Not tested: {len(found.left_out)} images without a usable face.")
