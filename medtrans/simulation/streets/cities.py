"""Simulated cities: how each is built, painted, lit and photographed. None stands for a real city."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from medtrans.errors import DataError, did_you_mean

RGB = tuple[float, float, float]
Range = tuple[float, float]


@dataclass(frozen=True)
class Plan:
    """How a city is built and what goes on in it.

    Attributes:
        road_m, pavement_m, verge_m: ranges of widths; pavement and verge of one side.
        plot_m, setback_m: ranges of a plot's length along the street and of a house's distance from its front.
        storeys: fewest and most.
        gaps, detached: share of plots without a house, and of houses that do not touch the next.
        enclosed: share of plots with a wall or fence in front.
        trees: share of places along the kerb with a tree, and of gaps with bushes.
        parking, parked: share of streets with parking strips, and of their places taken.
        traffic, large: moving vehicles a street, and the share of streets with each of truck and bus.
        trams: share of streets with rails; most of those have a tram.
        people, cyclists: people on foot, and riders, a street.
    """

    road_m: Range = (7.0, 9.0)
    pavement_m: Range = (2.2, 4.0)
    verge_m: Range = (0.0, 1.5)
    plot_m: Range = (9.0, 20.0)
    setback_m: Range = (0.0, 0.5)
    storeys: tuple[int, int] = (3, 5)
    gaps: float = 0.18
    detached: float = 0.15
    enclosed: float = 0.2
    trees: float = 0.35
    parking: float = 0.5
    parked: float = 0.45
    traffic: float = 4.0
    large: float = 0.3
    trams: float = 0.25
    people: float = 8.0
    cyclists: float = 1.6


@dataclass(frozen=True)
class Palette:
    """Colours as they look in white light, sRGB from 0 to 1."""

    facades: tuple[RGB, ...] = ((0.80, 0.74, 0.62), (0.78, 0.66, 0.52), (0.72, 0.70, 0.66), (0.70, 0.55, 0.45))
    roof: RGB = (0.45, 0.28, 0.22)
    asphalt: RGB = (0.36, 0.36, 0.37)
    paving: RGB = (0.56, 0.54, 0.51)
    grass: RGB = (0.36, 0.46, 0.20)
    foliage: tuple[RGB, RGB] = ((0.22, 0.36, 0.12), (0.34, 0.46, 0.18))


@dataclass(frozen=True)
class Weather:
    """Light and air.

    Attributes:
        elevation_deg: range of the sun's height.
        sun, sky: light from the sun, at right angles to it, and from the whole sky; relative to a white sheet at 1.
        zenith, horizon: colours of the sky, sRGB.
        clouds: 0 clear to 1 overcast.
        visibility_m: depth at which haze has taken 95 % of the contrast.
        wet: gloss of the road, 0 to 1.
        lit: share of windows with light; street lamps and headlights shine with it.
    """

    elevation_deg: Range = (35.0, 55.0)
    sun: RGB = (0.95, 0.89, 0.77)
    sky: RGB = (0.34, 0.38, 0.44)
    zenith: RGB = (0.35, 0.55, 0.85)
    horizon: RGB = (0.78, 0.85, 0.92)
    clouds: float = 0.35
    visibility_m: float = 2500.0
    wet: float = 0.0
    lit: float = 0.02


@dataclass(frozen=True)
class Sensor:
    """The camera behind the windscreen.

    Attributes:
        focal: focal length over the image's width.
        height_m: range of its height above the ground.
        horizon: range of the horizon's place, 0 top to 1 bottom.
        hood: share of the image's height that shows the camera's own car.
        exposure, white_balance, saturation: factors on light, on its channels, and on the distance from grey.
        noise: its standard deviation, of full scale.
        blur: standard deviation of the blur over the image's width.
        vignette: darkening of the corners.
    """

    focal: float = 1.1
    height_m: Range = (1.25, 1.40)
    horizon: Range = (0.42, 0.47)
    hood: float = 0.08
    exposure: float = 1.2
    white_balance: RGB = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    noise: float = 0.010
    blur: float = 0.0010
    vignette: float = 0.15


@dataclass(frozen=True)
class City:
    """A simulated city: its name (letters only, it begins the files' names), plan, palette, weather and sensor."""

    name: str
    plan: Plan = field(default_factory=Plan)
    palette: Palette = field(default_factory=Palette)
    weather: Weather = field(default_factory=Weather)
    sensor: Sensor = field(default_factory=Sensor)

    def __post_init__(self) -> None:
        if not (self.name.isascii() and self.name.isalpha() and self.name.islower()):
            raise DataError(f"city '{self.name}': its name must be lower-case letters only, as in the files' names")


_NOON = City("simnoon")

_SPRING = replace(
    _NOON,
    name="simspring",
    palette=replace(_NOON.palette, foliage=((0.30, 0.46, 0.14), (0.46, 0.56, 0.24)), grass=(0.38, 0.54, 0.20)),
    weather=replace(_NOON.weather, elevation_deg=(28, 42), clouds=0.55, sun=(0.80, 0.75, 0.66)),
    sensor=replace(_NOON.sensor, exposure=1.3, white_balance=(0.97, 1.0, 1.04)),
)

_SUBURB = City(
    "simsuburb",
    plan=Plan(
        road_m=(6.0, 7.5), pavement_m=(1.5, 2.2), verge_m=(1.5, 4.0), plot_m=(11, 18), setback_m=(3, 7), storeys=(1, 2),
        gaps=0.2, detached=0.9, enclosed=0.65, trees=0.55, parked=0.4, traffic=2.5, people=4, trams=0.1,
    ),
    palette=Palette(
        facades=((0.88, 0.86, 0.80), (0.84, 0.80, 0.68), (0.75, 0.62, 0.52), (0.86, 0.83, 0.74)),
        roof=(0.52, 0.26, 0.18),
        paving=(0.62, 0.60, 0.57),
        grass=(0.40, 0.50, 0.22),
    ),
    weather=Weather(elevation_deg=(40, 60), clouds=0.2, zenith=(0.28, 0.50, 0.86)),
    sensor=Sensor(saturation=1.1, hood=0.0),
)  # fmt: skip

_BRICK = City(
    "simbrick",
    plan=Plan(
        road_m=(6.0, 7.5), pavement_m=(1.6, 2.6), verge_m=(0, 0.3), plot_m=(6, 11), storeys=(2, 4), gaps=0.08,
        enclosed=0.1, trees=0.15, parked=0.75, people=9, cyclists=3.0, trams=0.1,
    ),
    palette=Palette(
        facades=((0.50, 0.27, 0.20), (0.56, 0.33, 0.24), (0.42, 0.25, 0.21), (0.62, 0.47, 0.38)),
        roof=(0.30, 0.28, 0.29),
        asphalt=(0.42, 0.39, 0.36),
        paving=(0.52, 0.42, 0.37),
        grass=(0.42, 0.44, 0.24),
    ),
    weather=Weather(
        elevation_deg=(14, 26), sun=(0.95, 0.74, 0.48), sky=(0.30, 0.32, 0.38), horizon=(0.92, 0.86, 0.76), clouds=0.3
    ),
    sensor=Sensor(white_balance=(1.06, 1.0, 0.90), vignette=0.25),
)  # fmt: skip

_CLOUD = City(
    "simcloud",
    plan=Plan(road_m=(9.0, 13.0), pavement_m=(3, 5), storeys=(4, 7), gaps=0.15, large=0.4, trams=0.4, traffic=6),
    palette=Palette(
        facades=((0.62, 0.62, 0.62), (0.55, 0.56, 0.58), (0.70, 0.69, 0.66), (0.50, 0.47, 0.46)),
        roof=(0.34, 0.34, 0.36),
        asphalt=(0.30, 0.30, 0.31),
        paving=(0.50, 0.50, 0.50),
        grass=(0.34, 0.40, 0.22),
        foliage=((0.18, 0.27, 0.13), (0.26, 0.34, 0.18)),
    ),
    weather=Weather(
        sun=(0.06, 0.06, 0.06), sky=(0.62, 0.65, 0.70), zenith=(0.68, 0.71, 0.75), horizon=(0.85, 0.87, 0.89),
        clouds=1.0, visibility_m=1100, lit=0.06,
    ),
    sensor=Sensor(saturation=0.85, exposure=1.1, white_balance=(0.97, 1.0, 1.05)),
)  # fmt: skip

_RAIN = replace(
    _CLOUD,
    name="simrain",
    weather=replace(
        _CLOUD.weather, sky=(0.42, 0.46, 0.52), zenith=(0.48, 0.51, 0.56), horizon=(0.66, 0.69, 0.72), visibility_m=380,
        wet=0.8, lit=0.2,
    ),
    sensor=replace(_CLOUD.sensor, blur=0.0022, noise=0.016, exposure=0.95, saturation=0.75),
)  # fmt: skip

_AUTUMN = City(
    "simautumn",
    plan=Plan(trees=0.7, verge_m=(0.5, 2.5), storeys=(2, 4), gaps=0.25, enclosed=0.4),
    palette=Palette(
        facades=((0.86, 0.78, 0.52), (0.82, 0.70, 0.58), (0.62, 0.66, 0.60), (0.78, 0.52, 0.40)),
        asphalt=(0.44, 0.43, 0.42),
        grass=(0.50, 0.45, 0.20),
        foliage=((0.56, 0.32, 0.08), (0.68, 0.48, 0.14)),
    ),
    weather=Weather(
        elevation_deg=(12, 22), sun=(0.85, 0.68, 0.46), zenith=(0.45, 0.60, 0.80), horizon=(0.90, 0.87, 0.82),
        clouds=0.4, visibility_m=700,
    ),
    sensor=Sensor(exposure=1.1, focal=0.95),
)  # fmt: skip

_DUSK = City(
    "simdusk",
    plan=Plan(storeys=(3, 6), trees=0.3, people=10),
    palette=Palette(facades=((0.70, 0.62, 0.56), (0.62, 0.52, 0.46), (0.66, 0.64, 0.62), (0.58, 0.46, 0.40))),
    weather=Weather(
        elevation_deg=(3, 7), sun=(0.18, 0.10, 0.06), sky=(0.20, 0.21, 0.30), zenith=(0.22, 0.28, 0.46),
        horizon=(0.86, 0.60, 0.46), clouds=0.5, visibility_m=2000, lit=0.35,
    ),
    sensor=Sensor(exposure=1.6, white_balance=(1.05, 1.0, 0.98), noise=0.022, blur=0.0014, vignette=0.3),
)  # fmt: skip

_NIGHT = replace(
    _DUSK,
    name="simnight",
    weather=replace(
        _DUSK.weather, sun=(0.0, 0.0, 0.0), sky=(0.05, 0.055, 0.085), zenith=(0.05, 0.06, 0.11),
        horizon=(0.17, 0.15, 0.16), lit=0.5,
    ),
    sensor=replace(_DUSK.sensor, exposure=2.4, white_balance=(1.15, 1.0, 0.78), noise=0.035),
)  # fmt: skip

CITIES: Mapping[str, City] = MappingProxyType(
    {city.name: city for city in (_NOON, _SPRING, _SUBURB, _BRICK, _CLOUD, _RAIN, _AUTUMN, _DUSK, _NIGHT)}
)
"""Invented cities, each with one light and one weather; neighbours in this order resemble each other in part."""


def get_city(city: str | City) -> City:
    """A city by name, or the city itself; DataError for an unknown name."""
    if isinstance(city, City):
        return city
    if city not in CITIES:
        raise DataError(f"unknown simulated city '{city}'; {did_you_mean(city, CITIES)}")
    return CITIES[city]
