"""Simulated MRI: the data that medtrans brings along, so that everything can be tried without a download.

Heads come from the MNI152 template, brightness from the signal equations of MRI, differences between hospitals from
their scanners. See docs/simulation.md for what it is and what it is not.
"""

from medtrans.data.simulation.contrast import (
    InversionRecovery,
    SpinEcho,
    Tissue,
    inversion_recovery,
    null_inversion_time,
    spin_echo,
)
from medtrans.data.simulation.sites import SITES, Site, get_site, institution_site
from medtrans.data.simulation.writers import simulate_fets, simulate_iseg

__all__ = [
    "SITES",
    "InversionRecovery",
    "Site",
    "SpinEcho",
    "Tissue",
    "get_site",
    "institution_site",
    "inversion_recovery",
    "null_inversion_time",
    "simulate_fets",
    "simulate_iseg",
    "spin_echo",
]
