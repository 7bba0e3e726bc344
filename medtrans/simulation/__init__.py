"""Simulated data that medtrans brings along, so that everything can be tried without a download.

MRI: heads come from the MNI152 template, brightness from the signal equations of MRI, differences between hospitals
from their scanners. Streets: scenes in perspective, differences between cities from how they are built, lit and
photographed. See docs/simulation.md for what they are and what they are not.
"""

from medtrans.simulation.contrast import (
    InversionRecovery,
    SpinEcho,
    Tissue,
    inversion_recovery,
    null_inversion_time,
    spin_echo,
)
from medtrans.simulation.sites import SITES, Site, get_site, institution_site
from medtrans.simulation.streets import CITIES, City, get_city, simulate_cityscapes
from medtrans.simulation.writers import simulate_fets, simulate_iseg

__all__ = [
    "CITIES",
    "SITES",
    "City",
    "InversionRecovery",
    "Site",
    "SpinEcho",
    "Tissue",
    "get_city",
    "get_site",
    "institution_site",
    "inversion_recovery",
    "null_inversion_time",
    "simulate_cityscapes",
    "simulate_fets",
    "simulate_iseg",
    "spin_echo",
]
