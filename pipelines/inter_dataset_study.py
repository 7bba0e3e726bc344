"""From one data set to cities of another: which of six architectures transfers best?

    python pipelines/inter_dataset_study.py                                   # simulated: mixed cities to others
    python pipelines/inter_dataset_study.py --small                           # minutes, shows that all works
    python pipelines/inter_dataset_study.py --sources gta5 ROOT --cityscapes ROOT     # or bdd100k

Six networks, one of each architecture, are trained on the first data set: the sources of every target. A target is a
city with labels on four images; transfer is judged on its others by mIoU over the 19 classes. Then
`python pipelines/scene_table.py <output>` prints the slides' table, `score_scatter.py` draws score against mIoU.
Killed, the same command goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from _streets import STRUCTURE, Streets, run
from intra_dataset_study import FULL_SIZE, SLIDES

DATA_SETS = ("bdd100k", "gta5")
ARCHITECTURES = ("FCN8s", "UNet", "SegNet", "PSPNet", "FRRNA", "FRRNB")
TRAINED_IN = ("simnoon", "simsuburb", "simcloud", "simdusk")  # the simulated other data set: these cities mixed
TARGETS = ("simspring", "simbrick", "simrain", "simautumn", "simnight")
IMAGES = 400  # of the data sets of thousands


def main() -> None:
    """Sources are six architectures, targets are cities."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="small simulated cities and a few steps")
    parser.add_argument("--sources", nargs=2, metavar=("FORMAT", "ROOT"), help="bdd100k or gta5, and its folder")
    parser.add_argument("--cityscapes", type=Path, help="the folder of leftImg8bit/ and gtFine/")
    parser.add_argument("--output", type=Path, help="the study's folder (runs/study-inter, or -small)")
    options = parser.parse_args()
    if (options.sources is None) != (options.cityscapes is None):
        parser.error("--sources and --cityscapes go together; leave both out for simulated streets")
    output = options.output or Path("runs/study-inter-small" if options.small else "runs/study-inter")
    if options.cityscapes is None:
        run(lambda: simulated(output, small=options.small), small=options.small)
        return
    if options.sources[0] not in DATA_SETS:
        parser.error(f"--sources {options.sources[0]}: choose {' or '.join(DATA_SETS)}")
    run(lambda: real(output, *options.sources, options.cityscapes), small=options.small)


def simulated(output: Path, *, small: bool) -> dict[str, Any]:
    """Networks trained on a mixture of some simulated cities, for others."""
    trained_in, targets = (TRAINED_IN[:2], TARGETS[:2]) if small else (TRAINED_IN, TARGETS)
    mixture = Streets.simulated(output / "mixture", trained_in, small=small, seed=1)
    cities = Streets.simulated(output / "streets", targets, small=small, seed=0)
    data = {"format": "cityscapes", "root": mixture.root}
    return {
        "output": output,
        "sources": [sources("simulated-mixture", data, width=4 if small else 8)],
        "targets": [cities.group(n_cases=2 if small else 4)],
        "network": {"name": "FCN8s", "width": 4 if small else 8},
    }


def real(output: Path, kind: str, root: str, cityscapes: Path) -> dict[str, Any]:
    """Networks trained on BDD100K or GTA5, for the five cities of the slides."""
    return {
        "output": output,
        "sources": [sources(kind, {"format": kind, "root": root, "n_cases": IMAGES}, width=16)],
        "targets": [Streets(cityscapes, SLIDES).group(n_cases=4)],
        "preprocessing": {"size": FULL_SIZE},
        "network": {"name": "FCN8s", "width": 16},
    }


def sources(domain: str, data: dict[str, Any], *, width: int) -> dict[str, Any]:
    """One source of each architecture on the same task."""
    networks = [{"name": name, "width": width} for name in ARCHITECTURES]
    return {"tasks": [f"{domain}/RGB/{STRUCTURE}"], "data": data, "networks": networks}


if __name__ == "__main__":
    main()
