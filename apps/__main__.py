"""`python -m morphoscope.apps`, also for torchrun."""

from morphoscope.apps.cli import main

main()
