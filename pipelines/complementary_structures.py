"""Do the other parts of the same whole transfer better than parts of something else?

    python pipelines/complementary_structures.py [runs/study-open-ms]

CSF, GM and WM together are the brain: they are complementary, and a border of one is a border of another. So are NCR,
ED and ET, which are a tumour. Sources of the target's own structure are left out.
"""

from __future__ import annotations

from _common import compare_sources, read_study

from medtrans.tasks.relations import structure_relation

if __name__ == "__main__":
    compare_sources(
        read_study(__doc__),
        "complementary_structures",
        structure_relation,
        ["complementary", "not complementary"],
    )
