"""Cities of one data set: which city's network should another city start from?

    python pipelines/intra_dataset_study.py                      # nine simulated cities
    python pipelines/intra_dataset_study.py --small              # four of them: a minute, shows that all works
    python pipelines/intra_dataset_study.py --cityscapes ROOT    # 21 cities of Cityscapes to the five of the slides

Every city trains a network of one architecture on its own images. Every target city has labels on four images, and
transfer is judged on its others by mIoU over the 19 classes. The sources of a target are the other cities. Then
`python pipelines/scene_table.py <output>` prints the slides' table, `score_scatter.py` draws score against mIoU.
Killed, the same command goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from _streets import Streets, run

from medtrans.data import open_dataset
from medtrans.simulation import CITIES

SLIDES = ("aachen", "cologne", "erfurt", "jena", "strasbourg")
FULL_SIZE = (256, 512)  # of Cityscapes' 1024 x 2048


def main() -> None:
    """Sources and targets are cities of one folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="four small simulated cities and a few steps")
    parser.add_argument("--cityscapes", type=Path, help="folder of leftImg8bit/ and gtFine/; simulated, if left out")
    parser.add_argument("--output", type=Path, help="the study's folder (runs/study-intra, or -small)")
    options = parser.parse_args()
    output = options.output or Path("runs/study-intra-small" if options.small else "runs/study-intra")
    run(lambda: study(output, options.cityscapes, small=options.small), small=options.small)


def study(output: Path, cityscapes: Path | None, *, small: bool) -> dict[str, Any]:
    """What makes this study: its sources, its targets, its one architecture."""
    if cityscapes is None:
        cities = list(CITIES)[:4] if small else list(CITIES)
        streets = Streets.simulated(output / "streets", cities, small=small, seed=0)
        targets, size = streets.cities, None
    else:
        streets = Streets(cityscapes, training_cities(cityscapes))
        targets, size = SLIDES, FULL_SIZE
    return {
        "output": output,
        "sources": [streets.group()],
        "targets": [streets.group(targets, n_cases=2 if small else 4)],
        "preprocessing": {"size": size},
        "network": {"name": "FCN8s", "width": 4 if small else 8},
    }


def training_cities(root: Path) -> tuple[str, ...]:
    """The cities that have labelled images, by name; those of the validation set included."""
    cases = open_dataset("cityscapes", root).cases
    return tuple(dict.fromkeys(case.id.rsplit("_", 2)[0] for case in cases if case.labels))


if __name__ == "__main__":
    main()
