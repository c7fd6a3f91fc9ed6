"""The workflow engine: Snakemake, whose rules are `morphoscope` commands."""
