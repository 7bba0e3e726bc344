"""What people look at: a table on the terminal, CSV, JSON, and one HTML page that needs no network."""

from __future__ import annotations

from medtrans.report.exports import write_csv, write_json
from medtrans.report.html import ranking_html, write_html
from medtrans.report.tables import ranking_table

__all__ = ["ranking_html", "ranking_table", "write_csv", "write_html", "write_json"]
