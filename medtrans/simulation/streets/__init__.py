"""Simulated street scenes in the layout of Cityscapes.

A camera over a plane, a street with what stands and moves in it, and cities that differ in how they are built, painted,
lit and photographed. Labels are rendered from the same geometry as the image, so they are exact. See docs/simulation.md
for what it is and what it is not.
"""

from medtrans.simulation.streets.cities import CITIES, City, Palette, Plan, Sensor, Weather, get_city
from medtrans.simulation.streets.labels import TRAINING_LABELS, Label
from medtrans.simulation.streets.writers import simulate_cityscapes, street_scene

__all__ = [
    "CITIES",
    "TRAINING_LABELS",
    "City",
    "Label",
    "Palette",
    "Plan",
    "Sensor",
    "Weather",
    "get_city",
    "simulate_cityscapes",
    "street_scene",
]
