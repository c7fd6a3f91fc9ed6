"""The report of a study: one page, its tables, and figures for a paper."""
