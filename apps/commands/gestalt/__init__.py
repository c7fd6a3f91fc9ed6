"""`morphoscope gestalt …`: faces, and syndromes ranked by similarity."""

import typer

from morphoscope.apps.commands.gestalt.evaluating import alike, draw_map, evaluate
from morphoscope.apps.commands.gestalt.galleries import add, align, make_gallery
from morphoscope.apps.commands.gestalt.photographs import detect, explain, rank
from morphoscope.apps.commands.gestalt.region_networks import train
from morphoscope.apps.commands.gestalt.tuning import tune

app = typer.Typer(help="Faces: syndromes ranked by similarity. Not a diagnosis.", no_args_is_help=True)
app.command("detect")(detect)
app.command("gallery")(make_gallery)
app.command("add")(add)
app.command("align")(align)
app.command("tune")(tune)
app.command("train")(train)
app.command("rank")(rank)
app.command("explain")(explain)
app.command("evaluate")(evaluate)
app.command("alike")(alike)
app.command("map")(draw_map)
