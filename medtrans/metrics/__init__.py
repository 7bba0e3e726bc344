"""Transferability metrics: arrays in, one number out, higher is better.

NumPy arrays or torch tensors, float32 or float64; computed in float64 unless a docstring says otherwise. All logarithms
are natural. Labels may be any integers, gaps included.
"""

from medtrans.metrics.bhattacharyya import gbc
from medtrans.metrics.class_consistency import cc_fv, gaussian_wasserstein, mean_inverse_distance
from medtrans.metrics.coding_rate import transrate
from medtrans.metrics.discriminants import lfc, ped, sfda
from medtrans.metrics.h_scores import h_score, shrinkage_h_score
from medtrans.metrics.label_based import leep, nce, zero_shot_dice
from medtrans.metrics.log_evidence import logme, logme_regression
from medtrans.metrics.maximal_h_score import maximal_h_score_ace, maximal_h_score_neural, normalized_h_score
from medtrans.metrics.mixture_leep import nleep
from medtrans.metrics.neighbours import grtd, knn, lbtc, topote
from medtrans.metrics.registry import METRICS, Metric, available, get_metric
from medtrans.metrics.trained_head import head_dice
from medtrans.metrics.transported_labels import OTCE, jc_otce, learn_otce_coefficients, otce, otce_sim
from medtrans.metrics.whole_images import probe_dice, whole_zero_shot_dice

__all__ = [
    "METRICS",
    "OTCE",
    "Metric",
    "available",
    "cc_fv",
    "gaussian_wasserstein",
    "gbc",
    "get_metric",
    "grtd",
    "h_score",
    "head_dice",
    "jc_otce",
    "knn",
    "lbtc",
    "learn_otce_coefficients",
    "leep",
    "lfc",
    "logme",
    "logme_regression",
    "maximal_h_score_ace",
    "maximal_h_score_neural",
    "mean_inverse_distance",
    "nce",
    "nleep",
    "normalized_h_score",
    "otce",
    "otce_sim",
    "ped",
    "probe_dice",
    "sfda",
    "shrinkage_h_score",
    "topote",
    "transrate",
    "whole_zero_shot_dice",
    "zero_shot_dice",
]
