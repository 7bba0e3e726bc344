"""What surfaces are made of; the colours are made in `paint`."""

from __future__ import annotations

from enum import IntEnum, auto


class Material(IntEnum):
    """Codes of the material buffer."""

    NOTHING = 0
    SKY = auto()
    ASPHALT = auto()
    MARKING = auto()
    PAVING = auto()
    KERB = auto()
    GRASS = auto()
    RAIL = auto()
    FACADE = auto()
    GABLE = auto()
    ROOF = auto()
    MASONRY = auto()
    FENCE = auto()
    FOLIAGE = auto()
    BARK = auto()
    STEEL = auto()
    DARK = auto()
    GLASS = auto()
    CAR_PAINT = auto()
    LIVERY = auto()
    CARGO = auto()
    HEADLIGHT = auto()
    TAILLIGHT = auto()
    SIGNAL_RED = auto()
    SIGNAL_GREEN = auto()
    STREET_LAMP = auto()
    WHITE = auto()
    RED = auto()
    BLUE = auto()
    YELLOW = auto()
    SKIN = auto()
    COAT = auto()
    TROUSERS = auto()
    SPOKES = auto()
    BIN = auto()
    HOOD = auto()
