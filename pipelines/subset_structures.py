"""Nested structures: is it better to come from a part of the target, or from a whole that contains it?

    python pipelines/subset_structures.py [runs/study-simulated]

The enhancing tumour (ET) lies in the tumour core (TC = ET + NCR), and this in the whole tumour (WT = TC + ED). For
every target: sources of a smaller structure, contained in the target's, against sources of a bigger one that contains
it. ET has only bigger ones, WT only smaller ones; TC has both. Without nested structures there is nothing to compare.
"""

from __future__ import annotations

from _common import compare_sources, read_study

from medtrans.tasks.relations import structure_relation

if __name__ == "__main__":
    compare_sources(read_study(__doc__), "subset_structures", structure_relation, ["smaller", "bigger"])
