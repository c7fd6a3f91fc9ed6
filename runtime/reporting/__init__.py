"""Reports as one HTML file, and what all their curves share."""

from morphoscope.runtime.reporting.report import Figure, Section, Table, write_report

__all__ = ["Figure", "Section", "Table", "write_report"]
