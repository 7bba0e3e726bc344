"""Tissue constants at 1.5 and 3 tesla, for adults, infants of six months, and tumours.

Sources, by number, of what follows:

1. T1 of white and grey matter grows with the field by a power law, that of cerebrospinal fluid does not:
   Rooney et al., Magnetic Resonance in Medicine 57:308, 2007.
2. T2 of white and grey matter: Stanisz et al., Magnetic Resonance in Medicine 54:507, 2005.
3. T2 of cerebrospinal fluid in the subarachnoid space at 3 T, 1886 +- 68 ms (and T1, 4309 +- 147 ms): "Quantification
   of T1 and T2 of subarachnoid CSF", Magnetic Resonance in Medicine, PMC10696635.
4. Proton density: tissue parameters of BrainWeb; Kwan, Evans, Pike, IEEE Transactions on Medical Imaging 18:1085, 1999.
5. Relaxivity of gadobutrol in plasma at 37 degrees: Szomolanyi et al., Investigative Radiology 54:559, 2019.
6. T1 and T2 of high-grade tumours and of the white matter around them, 3 T: de Blank et al., MR fingerprinting of
   brain tumours in children and young adults, 2019.
7. T1 before minus after contrast in glioblastoma, 3 T: Mueller et al., NMR in Biomedicine, 2020.
8. Relaxation rates of white matter from 3 months of age, 3 T: Kuehne et al., Pediatric Radiology, 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from medtrans.simulation.contrast import Tissue

LARMOR_HZ_PER_TESLA = 42.577e6

# Source 2, in ms: field in tesla -> T2.
WM_T2_MS = MappingProxyType({1.5: 72.0, 3.0: 69.0})
GM_T2_MS = MappingProxyType({1.5: 95.0, 3.0: 99.0})

# Source 5, in litres per mmol and second.
RELAXIVITY = MappingProxyType({1.5: 4.78, 3.0: 4.97})

FIELD_STRENGTHS_T = tuple(RELAXIVITY)

# How much of each tissue's water is added fluid, chosen so that at 3 T the dilution below gives what was measured:
# oedema 1577 / 147 ms (source 6: 1261 +- 359 ms, T2 1.7 times that of white matter),
# enhancing tumour 1799 / 159 ms (source 6: 1863 +- 70 ms, T2 2.4 times that of white matter).
# Necrosis is taken as fluid with debris in it.
OEDEMA_FLUID = 0.55
ENHANCING_FLUID = 0.4
NECROSIS_FLUID = 0.85

# The same for the infant. From three months on, 1 / T1 of white matter rises from 0.4 per second where there is no
# myelin and 0.76 where there is (source 8). At six months we take 0.63 and 0.77, and grey matter at 0.62: it has the T1
# of white matter without myelin, which is what the isointense phase is named for.
INFANT_GM_FLUID = 0.28
INFANT_WM_FLUID = 0.55
INFANT_MYELINATED_FLUID = 0.4

# Share of the enhancing tumour's contrast agent that has leaked into oedema: source 7 has 838 ms against 123 ms.
OEDEMA_LEAKAGE = 0.1


def power_law_t1(field_t: float, *, factor: float, exponent: float) -> float:
    """T1 in milliseconds: 1000 factor (Larmor frequency in Hz) ** exponent (source 1)."""
    return float(1000 * factor * (LARMOR_HZ_PER_TESLA * field_t) ** exponent)


def diluted(tissue: Tissue, fluid: Tissue, share: float) -> Tissue:
    """A tissue that has taken up fluid.

    In fast exchange the relaxation rates average: 1 / T = (1 - share) / T_tissue + share / T_fluid, for T1 and T2
    alike; proton densities average too. ``share`` is the part of the water that is added fluid, 0 to 1.
    """
    return Tissue(
        t1_ms=1 / ((1 - share) / tissue.t1_ms + share / fluid.t1_ms),
        t2_ms=1 / ((1 - share) / tissue.t2_ms + share / fluid.t2_ms),
        proton_density=(1 - share) * tissue.proton_density + share * fluid.proton_density,
    )


def with_contrast_agent(tissue: Tissue, *, concentration_mmol_l: float, relaxivity: float) -> Tissue:
    """A tissue with a contrast agent in it: 1 / T1' = 1 / T1 + r1 C, with r1 in litres per mmol and second."""
    rate_per_s = 1000 / tissue.t1_ms + relaxivity * concentration_mmol_l
    return replace(tissue, t1_ms=1000 / rate_per_s)


def adult_tissues(field_t: float) -> dict[str, Tissue]:
    """CSF, GM, WM of an adult, and tumour tissues NCR, ET, ED before contrast agent; field 1.5 or 3 tesla."""
    csf = Tissue(t1_ms=4329, t2_ms=1886, proton_density=1.0)
    gm = Tissue(power_law_t1(field_t, factor=0.00116, exponent=0.376), GM_T2_MS[field_t], 0.86)
    wm = Tissue(power_law_t1(field_t, factor=0.00071, exponent=0.382), WM_T2_MS[field_t], 0.77)
    return {
        "CSF": csf,
        "GM": gm,
        "WM": wm,
        "NCR": diluted(gm, csf, NECROSIS_FLUID),
        "ET": diluted(gm, csf, ENHANCING_FLUID),
        "ED": diluted(wm, csf, OEDEMA_FLUID),
    }


def infant_tissues(field_t: float) -> dict[str, Tissue]:
    """CSF, GM, WM (not yet myelinated) and myelinated WM at six months; field 1.5 or 3 tesla."""
    adult = adult_tissues(field_t)
    csf = adult["CSF"]
    return {
        "CSF": csf,
        "GM": diluted(adult["GM"], csf, INFANT_GM_FLUID),
        "WM": diluted(adult["WM"], csf, INFANT_WM_FLUID),
        "myelinated WM": diluted(adult["WM"], csf, INFANT_MYELINATED_FLUID),
    }


def enhanced(tissues: Mapping[str, Tissue], *, field_t: float, concentration_mmol_l: float) -> dict[str, Tissue]:
    """Tissues after contrast agent: ``concentration_mmol_l`` in the enhancing tumour, a tenth of it in oedema."""
    shares = {"ET": 1.0, "ED": OEDEMA_LEAKAGE}
    return {
        name: with_contrast_agent(
            tissue,
            concentration_mmol_l=shares.get(name, 0.0) * concentration_mmol_l,
            relaxivity=RELAXIVITY[field_t],
        )
        for name, tissue in tissues.items()
    }
