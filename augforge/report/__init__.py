"""A run as one HTML file that opens from disk, and its figures as PNG. `write_report` is the entry point."""

from __future__ import annotations

from augforge.report.write import Written, write_report

__all__ = ["Written", "write_report"]
