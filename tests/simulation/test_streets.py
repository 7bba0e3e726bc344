"""Simulated streets: perspective, occlusion, light, cities, folders."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medtrans.errors import DataError
from medtrans.networks import build_network, network_definition
from medtrans.simulation import simulate_cityscapes
from medtrans.simulation.folders import MARKER
from medtrans.simulation.streets import (
    CITIES,
    TRAINING_LABELS,
    City,
    Label,
    Weather,
    get_city,
    street_scene,
    writers,
)
from medtrans.simulation.streets.camera import Camera
from medtrans.simulation.streets.canvas import Canvas, Panel
from medtrans.simulation.streets.light import draw_sun, sunlit
from medtrans.simulation.streets.materials import Material
from medtrans.simulation.streets.paint import PAINTERS
from medtrans.simulation.streets.photograph import hazy
from medtrans.simulation.streets.scene import draw_scene
from medtrans.simulation.streets.street import Plot, Street
from medtrans.simulation.streets.texture import hashed, tile
from medtrans.simulation.streets.vehicles import SALOON, vehicle

SMALL = (64, 128)
NOWHERE = (np.inf, np.inf)

# f = 200 px, horizon in row 50, 1.5 m above the ground: a ground pixel in row r is 300 / (r - 50) m away
CAMERA = Camera(size=(201, 401), focal_px=200.0, horizon_px=50.0, height_m=1.5)
STREET = Street(
    offset_m=0.0,
    slope=0.0,
    curvature_per_m=0.0,
    road_m=8.0,
    parking_m=0.0,
    bays=False,
    pavement_m=3.0,
    verge_m=2.0,
    crossing_m=NOWHERE,
    zebra=False,
    rails=False,
    plots=(),
)


def contents(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def ground(street: Street) -> Canvas:
    canvas = Canvas(CAMERA)
    street.draw_ground(canvas)
    return canvas


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask)
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


# --- perspective ---


def test_points_project_by_similar_triangles():
    assert CAMERA.column(2, 10) == 200 + 200 * 2 / 10
    assert CAMERA.row(0, 10) == 50 + 200 * 1.5 / 10  # the ground
    assert CAMERA.row(1.5, 7) == CAMERA.row(1.5, 70) == 50  # what is as high as the camera lies on the horizon


def test_ground_depth_and_road_width_follow_the_row():
    canvas = ground(STREET)
    for row, depth_m in ((80, 10.0), (110, 5.0), (60, 30.0)):
        np.testing.assert_allclose(canvas.depth_m[row], depth_m, rtol=1e-5)
        road = np.flatnonzero(canvas.label[row] == Label.ROAD)
        width_px = 200 * 8 / depth_m
        assert road.mean() == 200  # the camera is over the middle of this road
        assert len(road) == pytest.approx(min(width_px, 401), abs=1)


def test_strips_beside_the_road_in_their_order():
    label = ground(STREET).label[80]  # 10 m away, a metre is 20 px: road to 280, pavement to 340, then grass
    assert set(label[200:279]) == {Label.ROAD}
    assert set(label[281:339]) == {Label.SIDEWALK}
    assert set(label[341:]) == {Label.TERRAIN}
    np.testing.assert_array_equal(label, label[::-1])


def test_a_bend_moves_the_road_by_half_curvature_depth_squared():
    bent = replace(STREET, curvature_per_m=0.01)
    road = np.flatnonzero(ground(bent).label[80] == Label.ROAD)  # at 10 m: 0.5 m to the right, 10 px
    assert road.mean() == pytest.approx(200 + 10, abs=0.5)


def test_paved_parking_is_ignored_and_a_crossing_street_is_road():
    label = ground(replace(STREET, parking_m=2.0, bays=True)).label[80]
    assert set(label[281:319]) == {Label.PARKING}
    crossing = ground(replace(STREET, crossing_m=(9.0, 11.0))).label
    assert set(crossing[80]) == {Label.ROAD}
    assert set(crossing[110, 361:]) == {Label.SIDEWALK}


def test_a_dashed_line_is_3_m_in_9():
    z = np.arange(9, 36, 0.01, dtype=np.float32)
    material = STREET.ground(np.zeros_like(z), z)[1]
    assert np.mean(material == Material.MARKING) == pytest.approx(1 / 3, abs=0.01)


def test_a_facing_panel_has_the_size_of_its_projection():
    canvas = Canvas(CAMERA)
    canvas.draw(Panel(Label.BUS, (-1, 20), (1, 20), 3.0, Material.LIVERY))
    # 2 m at 20 m are 20 px; 3 m and 0 m are 15 px above and below the horizon
    assert extent(canvas.label == Label.BUS) == (35, 65, 190, 210)
    assert set(canvas.depth_m[canvas.label == Label.BUS]) == {20}


def test_a_wall_along_the_street_recedes():
    canvas = Canvas(CAMERA)
    canvas.draw(Panel(Label.WALL, (5, 6), (5, 50), 1.0, Material.MASONRY))
    # x = 5 is seen in column 200 + 1000 / z; there the wall, 1 m high, is 200 / z px high
    for column, depth_m in ((300, 10.0), (250, 20.0), (225, 40.0)):
        wall = np.flatnonzero(canvas.label[:, column] == Label.WALL)
        assert canvas.depth_m[wall[0], column] == pytest.approx(depth_m, rel=1e-5)
        assert len(wall) == pytest.approx(200 / depth_m, abs=1)
        assert wall[-1] == pytest.approx(50 + 300 / depth_m, abs=1)
    along, grain = canvas.along_and_grain()
    assert along[70, 300] == pytest.approx(10 - 6, rel=1e-4)
    assert grain[60, 250] == pytest.approx((along[60, 249] - along[60, 251]) / 2, rel=1e-2)


def test_what_is_behind_or_beside_the_camera_is_not_drawn():
    canvas = Canvas(CAMERA)
    canvas.draw(Panel(Label.CAR, (-1, -5), (1, -5), 1.5, Material.DARK))
    canvas.draw(Panel(Label.CAR, (50, 5), (60, 5), 1.5, Material.DARK))
    assert not canvas.panels
    canvas.draw(Panel(Label.WALL, (2, -20), (2, 20), 1.0, Material.MASONRY))  # passes beside the camera
    assert np.flatnonzero((canvas.label == Label.WALL).any(axis=0)).tolist() == list(range(220, 401))


def test_the_nearer_thing_hides_the_farther_in_any_order():
    near = Panel(Label.CAR, (-1, 10), (1, 10), 1.5, Material.CAR_PAINT)  # columns 180 to 220
    far = Panel(Label.BUS, (-3, 20), (3, 20), 3.0, Material.LIVERY)  # columns 170 to 230
    labels = []
    for order in ((near, far), (far, near)):
        canvas = Canvas(CAMERA)
        for panel in order:
            canvas.draw(panel)
        labels.append(canvas.label)
    np.testing.assert_array_equal(*labels)
    row = labels[0][60]
    assert set(row[180:221]) == {Label.CAR}
    assert set(row[170:180]) == set(row[221:231]) == {Label.BUS}


def test_cars_ahead_show_their_tail_and_oncoming_ones_their_front():
    for direction, seen, unseen in ((1, "TAILLIGHT", "HEADLIGHT"), (-1, "HEADLIGHT", "TAILLIGHT")):
        canvas = Canvas(CAMERA)
        for panel in vehicle(SALOON, (0.0, 12.0), (0.0, float(direction)), (0.5, 0.5, 0.5, 0.5)):
            canvas.draw(panel)
        assert (canvas.material == Material[seen]).any()
        assert not (canvas.material == Material[unseen]).any()
        top, _, left, right = extent(canvas.label == Label.CAR)
        end_m = 12 - SALOON.length_m / 2  # its near end, and nothing of it is wider or higher than its box there
        assert right - left == pytest.approx(200 * SALOON.width_m / end_m, abs=1)
        assert top >= CAMERA.row(SALOON.height_m, end_m) - 1


# --- light ---


def test_a_house_shades_the_street_as_far_as_its_height_under_a_sun_at_45_degrees():
    house = Plot(side=1, near_m=0, far_m=60, setback_m=0, height_m=6.0, tone=(0.5, 0.5, 0.5, 0.5))
    street = replace(STREET, plots=(house,))
    sun = np.array([1.0, 1.0, 0.0]) / np.sqrt(2)
    light = sunlit(ground(street), street, sun)[80]
    # the front is 9 m to the right, so the middle of the shadow's edge is 3 m right of the road's: 60 px at 10 m
    np.testing.assert_allclose(light[200:249], np.sqrt(0.5), rtol=1e-5)
    assert light[260] == pytest.approx(np.sqrt(0.5) / 2, rel=1e-3)
    assert not light[271:375].any()
    np.testing.assert_allclose(light[378:], np.sqrt(0.5), rtol=1e-5)  # behind the front


def test_walls_face_the_sun_or_not():
    canvas = Canvas(CAMERA)
    canvas.draw(Panel(Label.WALL, (-2, 10), (2, 10), 1.0, Material.MASONRY))
    behind_us, ahead = np.array([0, 0.6, -0.8]), np.array([0, 0.6, 0.8])
    assert sunlit(canvas, STREET, behind_us)[70, 200] == pytest.approx(0.8)
    assert sunlit(canvas, STREET, ahead)[70, 200] == 0


def test_sun_is_a_unit_vector_at_the_citys_height():
    sun = draw_sun(Weather(elevation_deg=(30, 30)), np.random.default_rng(0))
    assert sun @ sun == pytest.approx(1)
    assert sun[1] == pytest.approx(0.5)


def test_haze_leaves_a_twentieth_of_the_contrast_at_the_visibility():
    light = np.array([[[0.0, 0, 0], [1, 1, 1]]], np.float32)
    weather = Weather(visibility_m=200)
    for depth_m, share in ((0, 1.0), (200, np.exp(-3))):
        dark, bright = hazy(light, np.full((1, 2), depth_m, np.float32), weather)[0]
        np.testing.assert_allclose(bright - dark, share, rtol=1e-4)


def test_noise_is_standardised_and_hashes_are_spread():
    assert tile().mean() == pytest.approx(0, abs=1e-5)
    assert tile().std() == pytest.approx(1, abs=1e-5)
    keys = np.arange(4000, dtype=np.int32)
    values = hashed(keys, keys[:1])
    assert 0 <= values.min() < values.max() < 1
    np.testing.assert_allclose(np.histogram(values, 10, (0, 1))[0] / 4000, 0.1, atol=0.02)


def test_every_material_can_be_painted():
    assert set(PAINTERS) == set(Material) - {Material.NOTHING, Material.SKY}


# --- scenes ---


def test_labels_are_the_19_training_classes_in_their_order_and_ignored_ids():
    assert TRAINING_LABELS == (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
    names = [label.name for label in TRAINING_LABELS]
    assert names[0] == "ROAD"
    assert names[10] == "SKY"
    assert names[13] == "CAR"
    assert names[18] == "BICYCLE"


@pytest.mark.parametrize("name", CITIES)
def test_sky_is_above_and_ground_below_the_horizon(name):
    for seed in range(2):
        canvas, _ = draw_scene(CITIES[name], SMALL, np.random.default_rng(seed))
        above = np.arange(SMALL[0]) < canvas.camera.horizon_px
        assert not (canvas.label[~above] == Label.SKY).any()
        assert not np.isin(canvas.label[above], (Label.ROAD, Label.SIDEWALK, Label.TERRAIN, Label.PARKING)).any()
        assert np.isfinite(canvas.depth_m[~above]).all()


@pytest.mark.parametrize("name", ["simsuburb", "simbrick"])
def test_every_class_occurs_over_a_city_and_road_and_houses_prevail(name):
    counts = np.zeros(256, dtype=int)
    for number in range(20):
        canvas, _ = draw_scene(CITIES[name], SMALL, np.random.default_rng([0, number]))
        counts += np.bincount(canvas.label.ravel(), minlength=256)
    assert set(np.flatnonzero(counts)) <= set(Label)
    assert all(counts[label] for label in TRAINING_LABELS)
    assert counts[[Label.OUT_OF_ROI, Label.STATIC, Label.PARKING]].all()
    share = counts / counts.sum()
    assert 0.2 < share[Label.ROAD] < 0.45
    assert share[[Label.ROAD, Label.BUILDING, Label.VEGETATION, Label.SKY, Label.CAR]].sum() > 0.6
    assert share[[Label.TRAFFIC_LIGHT, Label.TRAFFIC_SIGN, Label.POLE]].sum() < 0.05


def test_the_size_does_not_change_what_is_seen():
    small, large = (street_scene("simnoon", 1, size=size)[1] for size in ((96, 192), (192, 384)))
    other = street_scene("simnoon", 2, size=(96, 192))[1]
    assert np.mean(large[::2, ::2] == small) > 0.9 > np.mean(other == small)


def test_cities_differ_in_colour():
    photographs = {name: [street_scene(name, number, size=SMALL) for number in range(2)] for name in CITIES}
    look = {
        name: np.concatenate([f(np.stack([image for image, _ in shots]), axis=(0, 1, 2)) for f in (np.mean, np.std)])
        for name, shots in photographs.items()
    }
    assert all(np.abs(look[one] - look[other]).max() > 3 for one, other in combinations(CITIES, 2))
    assert look["simnight"][:3].mean() < 0.7 * look["simnoon"][:3].mean()
    leaves = {
        name: np.concatenate([image[label == Label.VEGETATION] for image, label in shots]).mean(axis=0)
        for name, shots in photographs.items()
    }
    assert leaves["simautumn"][0] > leaves["simautumn"][1]  # red above green
    assert leaves["simspring"][1] > leaves["simspring"][0]


def test_cities_are_found_by_name_and_checked():
    assert get_city("simrain") is CITIES["simrain"]
    with pytest.raises(DataError, match="did you mean 'simrain'"):
        get_city("simrains")
    with pytest.raises(DataError, match="lower-case letters only"):
        City("sim_city")


def photographs(city: str, numbers: range) -> tuple[torch.Tensor, torch.Tensor]:
    """Images in [-1, 1] and trainIds, -1 where ignored."""
    train_id = np.full(256, -1, dtype=np.int64)
    train_id[list(TRAINING_LABELS)] = np.arange(len(TRAINING_LABELS))
    shots = [street_scene(city, number, size=SMALL) for number in numbers]
    images = np.stack([image for image, _ in shots]).transpose(0, 3, 1, 2)
    return torch.from_numpy(images / np.float32(127.5) - 1), torch.from_numpy(train_id[[label for _, label in shots]])


@pytest.mark.slow
def test_a_network_trained_in_one_city_loses_accuracy_in_another():
    definition = network_definition("BasicUNet", spatial_dims=2, in_channels=3, out_channels=19, width=8)
    network, rng = build_network(definition, seed=0), np.random.default_rng(0)
    images, labels = photographs("simnoon", range(24))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(120):
        batch = torch.from_numpy(rng.integers(0, 24, 4))
        loss = torch.nn.functional.cross_entropy(network(images[batch]), labels[batch], ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def accuracy(city: str) -> float:
        unseen, truth = photographs(city, range(100, 110))
        with torch.no_grad():
            predicted = network.eval()(unseen).argmax(dim=1)
        return float((predicted == truth)[truth >= 0].float().mean())

    home, near, far = (accuracy(city) for city in ("simnoon", "simspring", "simautumn"))
    assert home > 0.6
    assert abs(home - near) < home - far > 0.04


# --- folders ---


@pytest.fixture(scope="module")
def streets(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data") / "cityscapes"
    return simulate_cityscapes(root, cities=("simnoon", "simnight"), images_per_city=2, size=SMALL, seed=3)


def test_layout_is_that_of_cityscapes(streets):
    expected = {
        f"{kind}/train/{city}/{city}_{number:06d}_000019_{suffix}.png"
        for kind, suffix in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_labelIds"))
        for city in ("simnoon", "simnight")
        for number in range(2)
    }
    assert set(contents(streets)) == expected | {MARKER}
    for path in sorted(expected):
        with Image.open(streets / path) as picture:
            assert picture.mode == ("RGB" if path.startswith("left") else "L")
            assert picture.size == (128, 64)


def test_labels_on_disk_are_ids_of_cityscapes(streets):
    for path in streets.rglob("*_labelIds.png"):
        with Image.open(path) as picture:
            ids = set(np.unique(np.asarray(picture)))
        assert ids <= set(Label)
        assert {Label.ROAD, Label.EGO_VEHICLE, Label.OUT_OF_ROI} <= ids


def test_same_seed_same_bytes_and_an_image_does_not_depend_on_how_many_there_are(streets, tmp_path):
    simulate_cityscapes(tmp_path / "same", cities=("simnoon", "simnight"), images_per_city=2, size=SMALL, seed=3)
    assert contents(tmp_path / "same") == contents(streets)
    simulate_cityscapes(tmp_path / "one", cities=["simnight"], images_per_city=1, size=SMALL, seed=3)
    one = contents(tmp_path / "one")
    del one[MARKER]
    assert one.items() <= contents(streets).items()
    other = contents(simulate_cityscapes(tmp_path / "other", cities=["simnight"], images_per_city=1, size=SMALL))
    assert not set(one.values()) & set(other.values())


def test_global_random_state_is_left_alone(tmp_path):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    street_scene("simrain", 0, size=SMALL)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_complete_folder_is_kept_and_another_simulation_refused(streets):
    before = {path: path.stat().st_mtime_ns for path in streets.rglob("*")}
    assert (
        simulate_cityscapes(streets, cities=("simnoon", "simnight"), images_per_city=2, size=SMALL, seed=3) == streets
    )
    assert {path: path.stat().st_mtime_ns for path in streets.rglob("*")} == before
    with pytest.raises(DataError, match="other parameters"):
        simulate_cityscapes(streets, cities=("simnoon", "simnight"), images_per_city=3, size=SMALL, seed=3)


def test_interrupted_writing_leaves_nothing(tmp_path, monkeypatch):
    def full_disk(path, pixels):
        if "000001" in path.name:
            raise OSError("no space left on device")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")

    monkeypatch.setattr(writers, "_write_png", full_disk)
    with pytest.raises(OSError, match="no space"):
        simulate_cityscapes(tmp_path / "streets", cities=["simnoon"], images_per_city=2, size=SMALL)
    assert not list(tmp_path.iterdir())


def test_numbers_out_of_range_are_refused(tmp_path):
    with pytest.raises(DataError, match="images_per_city is 0"):
        simulate_cityscapes(tmp_path, images_per_city=0)
    with pytest.raises(DataError, match="cities is 0"):
        simulate_cityscapes(tmp_path, cities=(), images_per_city=1)
    with pytest.raises(DataError, match="each city once"):
        simulate_cityscapes(tmp_path, cities=("simnoon", "simnoon"), images_per_city=1)
    with pytest.raises(DataError, match="seed is -1"):
        simulate_cityscapes(tmp_path, images_per_city=1, seed=-1)
    with pytest.raises(DataError, match="at least 32 rows"):
        simulate_cityscapes(tmp_path, images_per_city=1, size=(16, 128))
    with pytest.raises(DataError, match="unknown simulated city"):
        simulate_cityscapes(tmp_path, cities=["aachen"], images_per_city=1)
    assert not list(tmp_path.iterdir())
