"""What transfer really gives: the accuracy of every source on every target, sources clustered by how they transfer.

    python pipelines/transfer_heatmap.py [runs/study-open-ms]

Sources that help and fail on the same targets stand side by side. The best source of each target is framed; where a
source was not transferred, the cell is empty.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from _common import markdown, read_study
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from scipy.cluster.hierarchy import dendrogram, leaves_list

from medtrans.agreement import cluster_sources
from medtrans.report.study.text import MODE_NAMES


def main() -> None:
    """One table and one figure a mode."""
    study = read_study(__doc__)
    for mode in study.results.modes:
        truth = study.results.truth(mode).dropna(axis=0, how="all").dropna(axis=1, how="all").T  # source x target
        print(f"\n## {MODE_NAMES[mode]}\n")
        if len(truth) < 2:
            print("Fewer than two sources have been transferred in every seed: nothing to cluster.")
            continue
        clusters = cluster_sources(truth.fillna(truth.mean()))  # a missing cell says nothing: the target's mean
        truth = truth.iloc[leaves_list(clusters)].rename_axis("source")
        print(markdown(truth))
        figure = heat_map(truth, clusters, f"{study.results.measure_name}, {MODE_NAMES[mode]}")
        study.save(figure, f"heatmap-{mode}")


def heat_map(truth: pd.DataFrame, clusters: NDArray[np.float64], title: str) -> Figure:
    """The dendrogram beside the cells; rows are sources in the dendrogram's order, columns targets."""
    n_sources, n_targets = truth.shape
    figure = Figure((5 + 0.5 * n_targets, 3 + 0.35 * n_sources), layout="constrained")
    tree, cells = figure.subplots(1, 2, width_ratios=(1, 6))
    dendrogram(clusters, orientation="left", no_labels=True, color_threshold=0, above_threshold_color="0.3", ax=tree)
    tree.invert_yaxis()
    tree.axis("off")
    image = cells.imshow(truth, aspect="auto", cmap="viridis", vmin=0, vmax=1)
    for place, of_target in enumerate(truth.to_numpy().T):
        for row, value in enumerate(of_target):
            text = f"{value:.2f}".lstrip("0") if np.isfinite(value) else ""
            cells.text(place, row, text, size=7, color="black" if value > 0.6 else "white", ha="center", va="center")
        best = int(np.nanargmax(of_target))
        cells.add_patch(Rectangle((place - 0.5, best - 0.5), 1, 1, fill=False, edgecolor="red", linewidth=1.5))
    cells.set_xticks(range(n_targets), truth.columns, rotation=90)
    cells.set_yticks(range(n_sources), truth.index)
    cells.yaxis.tick_right()
    cells.set_xlabel("target")
    cells.set_title(f"{title}; framed: the best source of a target")
    figure.colorbar(image, ax=cells, shrink=0.6, pad=0.01)
    return figure


if __name__ == "__main__":
    main()
