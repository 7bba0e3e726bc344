"""Rankings against truth, and what scores over many targets say about tasks."""

from medtrans.agreement.conformal import cluster_quantile
from medtrans.agreement.intervals import FEWEST_GROUPS, Interval, group_interval, replicate_interval, why_no_interval
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
    "FEWEST_GROUPS",
    "Interval",
    "cluster_quantile",
    "cluster_sources",
    "dcg",
    "footrule",
    "group_interval",
    "kendall",
    "ndcg",
    "ordinal_affinities",
    "pairwise_wins",
    "replicate_interval",
    "share_of_best",
    "spearman",
    "top_k_regret",
    "weighted_kendall",
    "why_no_interval",
]
