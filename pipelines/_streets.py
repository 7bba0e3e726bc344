"""What the studies of street scenes share: cities as domains, simulated where nobody has Cityscapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _common import run_study

from medtrans.config import StudyJob
from medtrans.simulation import simulate_cityscapes

STRUCTURE = "19-classes"
SAMPLERS = {
    "boundary": {"n_pixels": 4000, "repetitions": 3},
    "uniform": {"kind": "uniform", "n_pixels": 4000, "repetitions": 3},
}
SETTINGS: dict[str, Any] = {
    "metrics": ["h_score", "otce_sim", "leep", "logme"],
    "samplers": SAMPLERS,
    "filters": {},
    "training": {"steps": 300, "batch_size": 4},
    "transfer": {
        "head": {"steps": 200, "steps_per_epoch": 200, "batch_size": 4, "learning_rate": 0.03, "augment": False},
        "full": {"steps": 50, "batch_size": 4, "learning_rate": 1e-3},
        "scratch": {"steps": 100, "batch_size": 4},
    },
}
SMALL: dict[str, Any] = {
    "samplers": {name: sampler | {"n_pixels": 500, "repetitions": 2} for name, sampler in SAMPLERS.items()},
    "signature": {"n_pixels": 500},
    "training": {"steps": 20, "steps_per_epoch": 20, "batch_size": 2},
    "transfer": {
        "head": {"steps": 20, "batch_size": 2, "learning_rate": 0.03, "augment": False},
        "full": {"steps": 5, "batch_size": 2, "learning_rate": 1e-3},
        "scratch": {"steps": 5, "batch_size": 2},
    },
}


@dataclass(frozen=True)
class Streets:
    """Cities below one folder in the layout of Cityscapes."""

    root: Path
    cities: tuple[str, ...]

    @classmethod
    def simulated(cls, root: Path, cities: Sequence[str], *, small: bool, seed: int) -> Streets:
        """Simulated cities, written into the folder unless they are there."""
        size, images = ((64, 128), 5) if small else ((128, 256), 32)
        simulate_cityscapes(root, cities=cities, images_per_city=images, size=size, seed=seed)
        return cls(root, tuple(cities))

    def group(self, cities: Sequence[str] | None = None, **data: Any) -> dict[str, Any]:
        """A task group: all classes in each of the cities; ``data`` as in a study's configuration."""
        names = self.cities if cities is None else cities
        tasks = [f"cityscapes-{city}/RGB/{STRUCTURE}" for city in names]
        return {"tasks": tasks, "data": {"format": "cityscapes", "root": self.root, **data}}


def run(study: Callable[[], dict[str, Any]], *, small: bool) -> None:
    """Run what is left of a study of streets and write its report; an error ends the script with one line."""
    run_study(lambda: StudyJob.model_validate(SETTINGS | (SMALL if small else {}) | study()))
