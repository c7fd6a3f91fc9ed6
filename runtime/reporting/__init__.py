"""Reports as one HTML file, and the style of their charts."""

from morphoscope.runtime.reporting.report import Figure, Section, Table, write_report

__all__ = ["Figure", "Section", "Table", "write_report"]
