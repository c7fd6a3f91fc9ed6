"""`morphoscope generate …`: train a generator and use it. A module per command or family of commands."""

import typer

from morphoscope.apps.commands.generate.formats import export_model, import_model
from morphoscope.apps.commands.generate.inspecting import inspect
from morphoscope.apps.commands.generate.measuring import metrics
from morphoscope.apps.commands.generate.mixing import directions, grid, mix, triangle
from morphoscope.apps.commands.generate.morphing import loop, morph
from morphoscope.apps.commands.generate.project import project
from morphoscope.apps.commands.generate.sampling import augment, sample
from morphoscope.apps.commands.generate.signing import sign
from morphoscope.apps.commands.generate.training import report, train

app = typer.Typer(help="The StyleGAN2-ADA generator.", no_args_is_help=True)
# In the order of the help.
for command in (
    train,
    sample,
    morph,
    loop,
    grid,
    triangle,
    mix,
    directions,
    project,
    augment,
    metrics,
    report,
    inspect,
    sign,
):
    app.command()(command)
app.command("import")(import_model)
app.command("export")(export_model)
