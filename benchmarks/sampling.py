"""10,000 pixels near the edges of one street scene: 2048 x 1024 pixels, 19 classes, an ignored bonnet at the bottom.

    python benchmarks/sampling.py [--threads 1] [--repetitions 1] [--bands 2 4 8 16] [--repeats 3]

Seconds for edges, distances and the draw. The peer finds the band by SciPy's Euclidean distance transform, once for
each class, and draws from it as well; it measures to pixel centres, and takes ignored regions for a class.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from threadpoolctl import threadpool_limits

from medtrans.sampling import sample_pixels
from medtrans.tasks import IGNORE_LABEL, Case

HEIGHT, WIDTH, N_CLASSES, N_REGIONS, N_PIXELS = 1024, 2048, 19, 300, 10_000


def scene(rng: np.random.Generator) -> Case:
    """Regions of arbitrary shape: every pixel has the class of the nearest of some random points."""
    apart = np.ones((HEIGHT, WIDTH), dtype=bool)
    points = rng.integers(0, [HEIGHT, WIDTH], (N_REGIONS, 2))
    apart[tuple(points.T)] = False
    classes = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    classes[tuple(points.T)] = rng.integers(0, N_CLASSES, N_REGIONS)
    nearest = distance_transform_edt(apart, return_distances=False, return_indices=True)
    label = classes[tuple(nearest)]
    label[HEIGHT - 100 :] = IGNORE_LABEL
    image = rng.normal(size=(3, HEIGHT, WIDTH)).astype(np.float32)
    return Case("scene", image, label, (1.0, 1.0))


def transform_for_each_class(case: Case, band: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of N pixels from the band, by distance transforms."""
    nearest = np.full(case.label.shape, np.inf)
    for label in np.unique(case.label):
        of_class = case.label == label
        nearest[of_class] = distance_transform_edt(of_class)[of_class]
    band_pixels = np.argwhere((nearest < band) & (case.label != IGNORE_LABEL))
    return rng.choice(band_pixels, N_PIXELS, replace=False)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The smallest of some times."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description="the boundary sampler against distance transforms of every class")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--bands", type=float, nargs="+", default=[2.0, 4.0, 8.0, 16.0])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    case = scene(np.random.default_rng(0))
    with threadpool_limits(options.threads):
        peer = seconds(lambda: transform_for_each_class(case, 4.0, np.random.default_rng(0)), options.repeats)
        print(f"{options.threads} threads, {WIDTH} x {HEIGHT}, {N_CLASSES} classes, {N_PIXELS} pixels")
        print(f"{'distance transforms':24} {peer:7.3f} s")
        for band in options.bands:
            ours = seconds(
                lambda band=band: sample_pixels(
                    [case],
                    n_pixels=N_PIXELS,
                    repetitions=options.repetitions,
                    band_mm=band,
                    outside=0.4,
                    rng=np.random.default_rng(0),
                ),
                options.repeats,
            )
            print(f"{f'sample_pixels, band {band:g}':24} {ours:7.3f} s {peer / ours:6.1f} x as fast")


if __name__ == "__main__":
    main()
