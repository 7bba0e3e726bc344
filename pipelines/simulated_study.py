"""A transfer study on simulated scans: one hospital has trained models, the other has a few labels.

    python pipelines/simulated_study.py             # 26 sources, 26 targets: under two hours on two cores
    python pipelines/simulated_study.py --small     # 4 sources, 3 targets: two minutes

Infants (T1, T2 x CSF, GM, WM) and adults with a glioma (T1, T1CE, T2, FLAIR x NCR, ED, ET, and TC, WT, which contain
them) are simulated at two sites that differ in their scanners. Networks are trained at site A; at site
B one subject has labels on four slices, and transfer is judged on subjects that no network has seen. The two sites have
different names, so a target's own task at the other site is a candidate. Killed, the same command goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from _common import run_study

from medtrans.config import StudyJob
from medtrans.data import open_dataset
from medtrans.simulation import simulate_fets, simulate_iseg

FULL: dict[str, Any] = {
    "sources": {"iseg-a": ["{T1,T2}/{CSF,GM,WM}"], "fets-1": ["{T1,T1CE,T2,FLAIR}/{NCR,ED,ET,TC,WT}"]},
    "targets": {"iseg-b": ["{T1,T2}/{CSF,GM,WM}"], "fets-2": ["{T1,T1CE,T2,FLAIR}/{NCR,ED,ET,TC,WT}"]},
    "metrics": ["h_score", "otce_sim", "leep", "nce", "logme", "transrate"],
    "samplers": {
        "boundary": {"n_pixels": 2000, "repetitions": 3},
        "uniform": {"kind": "uniform", "n_pixels": 2000, "repetitions": 3},
    },
    "filters": {"roi": {"roi": True}, "modality": {"modality": True}},
    "network": {"width": 8},
    "training": {"steps": 200},
    "many_to_one": {"largest": 3, "metrics": ["h_score", "otce_sim", "leep", "nce", "logme", "transrate"]},
    "transfer": {
        "head": {"steps": 100, "batch_size": 4, "learning_rate": 0.1, "augment": False},
        "full": {"steps": 30, "batch_size": 4, "learning_rate": 1e-3},
        "head_first": False,
        "scratch": {"steps": 60, "batch_size": 4},
    },
}
SMALL: dict[str, Any] = {
    "sources": {"iseg-a": ["T1/{GM,WM}"], "fets-1": ["FLAIR/{ED,WT}"]},
    "targets": {"iseg-b": ["T2/GM"], "fets-2": ["FLAIR/ED", "T2/WT"]},
    "metrics": ["h_score", "otce_sim"],
    "samplers": {"boundary": {"n_pixels": 400, "repetitions": 3, "band_mm": 8.0}},
    "filters": {"roi": {"roi": True, "min_pool": 2}},
    "signature": {"n_pixels": 1000},
    "many_to_one": {"largest": 2, "metrics": ["h_score"]},
    "network": {"width": 8},
    "training": {"steps": 60, "steps_per_epoch": 60},
    "transfer": {
        "head": {"steps": 40, "batch_size": 4, "learning_rate": 3e-2, "augment": False},
        "full": {"steps": 15, "batch_size": 4, "learning_rate": 1e-3},
        "head_first": False,
        "scratch": {"steps": 15, "batch_size": 4},
    },
}


def main() -> None:
    """Simulate, run what is left of the study, write its report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a study of two minutes, which shows that all works")
    parser.add_argument("--output", type=Path, help="its folder (runs/study-simulated, or -small)")
    options = parser.parse_args()
    output = options.output or Path("runs/study-simulated-small" if options.small else "runs/study-simulated")
    run_study(lambda: simulated_study(output, small=options.small))


def simulated_study(output: Path, *, small: bool) -> StudyJob:
    """The study's settings; its scans are simulated into ``<output>/scans``."""
    folders = simulate(output / "scans", subjects=2 if small else 3, spacing_mm=4.0 if small else 3.0)
    settings = SMALL if small else FULL
    return StudyJob.model_validate(
        {
            "output": output,
            **settings,
            "sources": [source_group(domain, tasks, folders) for domain, tasks in settings["sources"].items()],
            "targets": [target_group(domain, tasks, folders) for domain, tasks in settings["targets"].items()],
        }
    )


def simulate(scans: Path, *, subjects: int, spacing_mm: float) -> dict[str, Path]:
    """Folders of scans by domain; every subject is someone else."""
    size = {"subjects": subjects, "spacing_mm": spacing_mm}
    fets = simulate_fets(scans / "fets", institutions=(1, 2), subjects_per_institution=subjects, spacing_mm=spacing_mm)
    return {
        "iseg-a": simulate_iseg(scans / "iseg-a", site="3T-infant", seed=0, **size),
        "iseg-b": simulate_iseg(scans / "iseg-b", site="3T-infant-fast", seed=1, **size),
        "fets-1": fets,
        "fets-2": fets,
    }


def source_group(domain: str, tasks: list[str], folders: dict[str, Path]) -> dict[str, Any]:
    """Networks trained on all slices of all subjects of site A."""
    data = {"format": domain.partition("-")[0], "root": folders[domain]}
    return {"tasks": [f"{domain}/{task}" for task in tasks], "data": data}


def target_group(domain: str, tasks: list[str], folders: dict[str, Path]) -> dict[str, Any]:
    """Four slices of the first subject of site B have labels; the other subjects are for the test."""
    group = source_group(domain, tasks, folders)
    labelled, *others = [case.id for case in open_dataset(domain, folders[domain]).cases]
    return {**group, "data": {**group["data"], "cases": [labelled], "slices": 4}, "test_cases": others}


if __name__ == "__main__":
    main()
