"""What people look at: a table on the terminal, CSV, JSON, and one HTML page that needs no network."""

from __future__ import annotations

from medtrans.report.files import write_texts
from medtrans.report.ranking.exports import ranking_csv, ranking_json, write_csv, write_json
from medtrans.report.ranking.page import ranking_html, write_html
from medtrans.report.ranking.table import ranking_table

__all__ = [
    "ranking_csv",
    "ranking_html",
    "ranking_json",
    "ranking_table",
    "write_csv",
    "write_html",
    "write_json",
    "write_texts",
]
