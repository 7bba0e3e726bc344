"""Scanners: each site has its field strength, protocols, noise and resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from medtrans.errors import DataError, did_you_mean
from medtrans.simulation.contrast import InversionRecovery, Sequence, SpinEcho
from medtrans.simulation.tissues import FIELD_STRENGTHS_T


@dataclass(frozen=True)
class Site:
    """How a site scans.

    Attributes:
        name: for people, and for looking it up in `SITES`.
        field_t: field strength in tesla, 1.5 or 3.
        t1, t2, flair: protocols; T1CE is ``t1`` after contrast agent.
        noise: standard deviation of the noise over the mean signal in the brain.
        bias: strength of the coil's bias field; 0.2 brightens by up to 22 %.
        resolution_mm: full width at half maximum along left-right, back-front, bottom-top.
        gain: mean intensity in the brain, in arbitrary units.
    """

    name: str
    field_t: float
    t1: Sequence
    t2: Sequence
    flair: Sequence
    noise: float = 0.03
    bias: float = 0.3
    resolution_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gain: float = 400.0

    def __post_init__(self) -> None:
        if self.field_t not in FIELD_STRENGTHS_T:
            known = " or ".join(map(str, FIELD_STRENGTHS_T))
            raise DataError(f"site '{self.name}': no tissue constants for {self.field_t} T; use {known} T")
        if self.noise < 0 or self.bias < 0 or min(self.resolution_mm) <= 0 or self.gain <= 0:
            raise DataError(f"site '{self.name}': noise and bias must be 0 or more, resolution and gain more than 0")


_SITES = (
    Site(
        name="3T-gradient",
        field_t=3.0,
        t1=InversionRecovery(tr_ms=1900, te_ms=3, ti_ms=900),
        t2=SpinEcho(tr_ms=6000, te_ms=100),
        flair=InversionRecovery(tr_ms=9000, te_ms=125, ti_ms=2500),
    ),
    Site(
        name="3T-infant",
        field_t=3.0,
        t1=InversionRecovery(tr_ms=1900, te_ms=4.4, ti_ms=1100),
        t2=SpinEcho(tr_ms=7380, te_ms=119),
        flair=InversionRecovery(tr_ms=9000, te_ms=140, ti_ms=2500),
        noise=0.03,
        bias=0.05,  # iSeg's images are corrected for it
    ),
    Site(
        name="3T-infant-fast",
        field_t=3.0,
        t1=InversionRecovery(tr_ms=2400, te_ms=3, ti_ms=1000),
        t2=SpinEcho(tr_ms=5500, te_ms=100),
        flair=InversionRecovery(tr_ms=9000, te_ms=140, ti_ms=2500),
        noise=0.04,
        bias=0.1,
        resolution_mm=(1.5, 1.5, 3.0),
        gain=250.0,
    ),
    Site(
        name="1.5T-spin-echo",
        field_t=1.5,
        t1=SpinEcho(tr_ms=500, te_ms=14),
        t2=SpinEcho(tr_ms=4000, te_ms=90),
        flair=InversionRecovery(tr_ms=9000, te_ms=110, ti_ms=2300),
        noise=0.06,
        bias=0.2,
        resolution_mm=(1.0, 1.0, 5.0),
        gain=150.0,
    ),
    Site(
        name="3T-spin-echo",
        field_t=3.0,
        t1=SpinEcho(tr_ms=700, te_ms=10),
        t2=SpinEcho(tr_ms=4500, te_ms=120),
        flair=InversionRecovery(tr_ms=11000, te_ms=140, ti_ms=2700),
        noise=0.04,
        bias=0.4,
        resolution_mm=(1.0, 1.0, 3.0),
        gain=800.0,
    ),
    Site(
        name="1.5T-gradient",
        field_t=1.5,
        t1=InversionRecovery(tr_ms=2200, te_ms=4, ti_ms=1000),
        t2=SpinEcho(tr_ms=5000, te_ms=80),
        flair=InversionRecovery(tr_ms=6000, te_ms=150, ti_ms=2000),
        noise=0.08,
        bias=0.15,
        resolution_mm=(2.5, 2.5, 2.5),
        gain=300.0,
    ),
)

SITES: Mapping[str, Site] = MappingProxyType({site.name: site for site in _SITES})
"""Invented sites with ordinary protocols; none stands for a real hospital."""

_FETS_CYCLE = ("3T-gradient", "1.5T-spin-echo", "3T-spin-echo", "1.5T-gradient")


def get_site(site: str | Site) -> Site:
    """A site by name, or the site itself; DataError for an unknown name."""
    if isinstance(site, Site):
        return site
    if site not in SITES:
        raise DataError(f"unknown site '{site}'; {did_you_mean(site, SITES)}")
    return SITES[site]


def institution_site(institution: int) -> Site:
    """The site that a FeTS institution is simulated with when none is given: the four adult sites in turn, from 1."""
    return SITES[_FETS_CYCLE[(institution - 1) % len(_FETS_CYCLE)]]
