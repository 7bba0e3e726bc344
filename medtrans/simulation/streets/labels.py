"""Label ids of Cityscapes: the 19 training classes in their order, and the ignored ids that simulated streets use."""

from __future__ import annotations

from enum import IntEnum


class Label(IntEnum):
    """Label ids as in ``labelIds`` files; source: helpers/labels.py of cityscapesScripts."""

    EGO_VEHICLE = 1
    OUT_OF_ROI = 3
    STATIC = 4
    ROAD = 7
    SIDEWALK = 8
    PARKING = 9
    BUILDING = 11
    WALL = 12
    FENCE = 13
    POLE = 17
    TRAFFIC_LIGHT = 19
    TRAFFIC_SIGN = 20
    VEGETATION = 21
    TERRAIN = 22
    SKY = 23
    PERSON = 24
    RIDER = 25
    CAR = 26
    TRUCK = 27
    BUS = 28
    TRAIN = 31
    MOTORCYCLE = 32
    BICYCLE = 33


IGNORED = (Label.EGO_VEHICLE, Label.OUT_OF_ROI, Label.STATIC, Label.PARKING)
"""What the Cityscapes toolkit leaves out of training and of scores."""

TRAINING_LABELS = tuple(label for label in Label if label not in IGNORED)
"""The 19 training classes; the place in this tuple is the trainId."""
