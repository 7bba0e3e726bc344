"""Rankings against truth, and what scores over many targets say about tasks."""

from medtrans.agreement.bootstrap import Interval, bootstrap_interval, mean_interval
from medtrans.agreement.measures import (
    dcg,
    footrule,
    kendall,
    ndcg,
    share_of_best,
    spearman,
    top_k_regret,
    weighted_kendall,
)
from medtrans.agreement.relationships import cluster_sources, ordinal_affinities, pairwise_wins

__all__ = [
    "Interval",
    "bootstrap_interval",
    "cluster_sources",
    "dcg",
    "footrule",
    "kendall",
    "mean_interval",
    "ndcg",
    "ordinal_affinities",
    "pairwise_wins",
    "share_of_best",
    "spearman",
    "top_k_regret",
    "weighted_kendall",
]
