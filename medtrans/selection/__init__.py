"""From a target and a pool to a ranking: candidate filters first, then every metric on the sampled pixels."""

from __future__ import annotations

from medtrans.selection.evidence import Evidence, read_evidence, shipped_evidence
from medtrans.selection.expectation import Estimate, Expectation, read_expectation, shipped_expectation
from medtrans.selection.filters import Dropped, Filtered, filter_sources, modality_analysis, roi_analysis
from medtrans.selection.ranking import rank_sources
from medtrans.selection.results import Missing, Provenance, Ranking, SampledSlice, SourceScore

__all__ = [
    "Dropped",
    "Estimate",
    "Evidence",
    "Expectation",
    "Filtered",
    "Missing",
    "Provenance",
    "Ranking",
    "SampledSlice",
    "SourceScore",
    "filter_sources",
    "modality_analysis",
    "rank_sources",
    "read_evidence",
    "read_expectation",
    "roi_analysis",
    "shipped_evidence",
    "shipped_expectation",
]
