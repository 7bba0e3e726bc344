"""Which matters more, the structure or the contrast?

    python pipelines/modality_or_structure.py [runs/study-open-ms]

For every target: sources of the same structure in another modality against sources of another structure in the same
modality. Those that differ in both stand beside them.
"""

from __future__ import annotations

from _common import compare_sources, read_study

from medtrans.tasks.relations import BOTH_OTHER, OTHER_MODALITY, OTHER_STRUCTURE, relation

if __name__ == "__main__":
    compare_sources(
        read_study(__doc__),
        "modality_or_structure",
        relation,
        [OTHER_MODALITY, OTHER_STRUCTURE, BOTH_OTHER],
    )
