"""Do sources of the same kind of tissue transfer better, brain matter to brain matter, lesions to lesions?

    python pipelines/related_sources.py [runs/study-open-ms]

Related are sources and targets that are both brain matter (CSF, GM, WM), both abnormal (lesions, parts of tumours), or
the same structure.
"""

from __future__ import annotations

from _common import compare_sources, read_study

from medtrans.tasks.relations import relatedness

if __name__ == "__main__":
    compare_sources(read_study(__doc__), "related_sources", relatedness, ["related", "unrelated"])
