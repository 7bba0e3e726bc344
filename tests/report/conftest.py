from __future__ import annotations

import numpy as np
import pytest

from medtrans.selection import Dropped, Missing, Provenance, Ranking, SampledSlice
from medtrans.selection.results import scores_of_metric
from medtrans.tasks import TaskName

HOSTILE = "<script>alert(1)</script>[bold]&\"'"


@pytest.fixture
def ranking() -> Ranking:
    """Four sources, one of them with a hostile name, two metrics, one missing score, one dropped source, a picture."""
    label = np.zeros((6, 8), dtype=np.uint8)
    label[2:4, 3:6] = 1
    picture = SampledSlice(
        "p/z001", np.arange(48, dtype=np.float32).reshape(6, 8), label, np.array([[2, 3], [0, 0], [5, 7]]), (2.0, 1.0)
    )
    h_score = {"good": [0.9, 0.8], "bad": [0.1, 0.2], HOSTILE: [0.5, 0.5]}
    return Ranking(
        target=TaskName("here", "FLAIR", "lesion"),
        class_names=("background", "lesion"),
        metrics=("h_score", "mine"),
        n_pixels=1234,
        scores=scores_of_metric("h_score", h_score) + scores_of_metric("mine", {"bad": [-1, -2], "good": [-3, -4]}),
        dropped=(Dropped("drawing", "It is <b>not</b> a scan."),),
        missing=(Missing(HOSTILE, "mine", "no signature"),),
        notes=("Mind the <gap>.",),
        provenance=Provenance(3, {"device": "cpu", "filters": None}, {"medtrans": "0.1.0"}, {"features": 1.5}),
        picture=picture,
    )
