from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference
from torch import nn

from medtrans.errors import NetworkError, SamplingError
from medtrans.features import extract_features
from medtrans.networks import build_network, forward_with_features, network_definition, penultimate_layer, size_divisor
from medtrans.sampling import sample_pixels
from medtrans.tasks import Case


def make_case(shape, name="a", n_channels=1, seed=0) -> Case:
    generator = np.random.default_rng(seed)
    image = generator.normal(size=(n_channels, *shape)).astype(np.float32)
    return Case(name, image, generator.integers(0, 2, shape).astype(np.uint8), (1.0,) * len(shape))


def make_network(name="BasicUNet", spatial_dims=2, n_channels=1, n_classes=3, width=4):
    definition = network_definition(
        name, spatial_dims=spatial_dims, in_channels=n_channels, out_channels=n_classes, width=width
    )
    return build_network(definition).eval(), size_divisor(definition)


def every_pixel(*cases) -> SimpleNamespace:
    return SimpleNamespace(
        case_index=np.repeat(np.arange(len(cases)), [case.label.size for case in cases]),
        position=np.concatenate([np.argwhere(np.ones(case.label.shape)) for case in cases]),
    )


def pixels_at(*positions, case_index=None) -> SimpleNamespace:
    return SimpleNamespace(
        case_index=np.array(case_index or [0] * len(positions)), position=np.array(positions, dtype=np.int64)
    )


def sliding_window(network, case, roi_size):
    """MONAI's features and probabilities of the whole image, as (pixels, channels)."""
    layer = penultimate_layer(network, case.ndim, case.image.shape[0])

    def predictor(windows):
        logits, features = forward_with_features(network, layer, windows)
        return features, logits.softmax(dim=1)

    missing = [(0, max(0, roi - size)) for size, roi in zip(case.label.shape, roi_size, strict=True)]
    padded = np.pad(case.image, [(0, 0), *missing])  # MONAI itself pads on both sides, training at the end
    with torch.inference_mode():
        maps = sliding_window_inference(torch.from_numpy(padded)[None], roi_size, 2, predictor, overlap=0)
    inside = (0, slice(None), *map(slice, case.label.shape))
    return [a_map[inside].flatten(start_dim=1).T.numpy() for a_map in maps]


def in_two_windows(case, roi_size) -> np.ndarray:
    """Pixels that the last window, moved back to the border, shares with the one before; (pixels,)."""
    shared = np.zeros(case.label.shape, dtype=bool)
    for axis, (size, roi) in enumerate(zip(case.label.shape, roi_size, strict=True)):
        np.moveaxis(shared, axis, 0)[max(0, size - roi) : size // roi * roi] |= size % roi > 0
    return shared.ravel()


@pytest.mark.parametrize(
    ("name", "shape", "roi_size"),
    [
        ("BasicUNet", (64, 96), (32, 48)),  # windows side by side
        ("BasicUNet", (71, 90), (32, 48)),  # the last ones moved back
        ("BasicUNet", (27, 45), (32, 48)),  # image smaller than the window, by odd and even numbers
        ("DynUNet", (27, 75), (32, 48)),  # smaller along one axis, larger along the other
        ("SegResNet", (20, 19, 32), (16, 24, 16)),
        ("BasicUNet", (32, 30, 40), (32, 32, 32)),
    ],
)
def test_equals_the_full_sliding_window_where_windows_do_not_overlap(name, shape, roi_size):
    network, divisor = make_network(name, spatial_dims=len(shape))
    case = make_case(shape)
    found = extract_features(network, [case], every_pixel(case), roi_size=roi_size, divisor=divisor)
    features, probabilities = sliding_window(network, case, roi_size)
    once = ~in_two_windows(case, roi_size)
    assert once.any()
    np.testing.assert_allclose(found.features[once], features[once], atol=1e-4)
    np.testing.assert_allclose(found.probabilities[once], probabilities[once], atol=1e-4)


def test_a_pixel_in_two_windows_takes_the_first():
    network, divisor = make_network()
    case = make_case((32, 48))
    found = extract_features(network, [case], pixels_at((5, 20)), roi_size=(32, 32), divisor=divisor)
    first = Case("first", case.image[:, :, :32], case.label[:, :32], (1.0, 1.0))
    expected = extract_features(network, [first], pixels_at((5, 20)), roi_size=(32, 32), divisor=divisor)
    second = Case("second", case.image[:, :, 16:], case.label[:, 16:], (1.0, 1.0))
    other = extract_features(network, [second], pixels_at((5, 4)), roi_size=(32, 32), divisor=divisor)
    np.testing.assert_allclose(found.features, expected.features, atol=1e-5)
    assert np.abs(found.features - other.features).max() > 1e-3


@pytest.mark.parametrize(("size", "padded"), [((32, 64), (32, 64)), ((33, 50), (48, 64)), ((16, 16), (32, 32))])
def test_whole_images_are_padded_at_the_end_to_multiples_of_the_divisor_and_at_least_two(size, padded):
    network, divisor = make_network()
    assert divisor == 16
    case = make_case(size)
    image = np.zeros((1, 1, *padded), np.float32)
    inside = tuple(map(slice, size))
    image[(0, 0, *inside)] = case.image[0]
    with torch.inference_mode():
        logits, features = forward_with_features(network, penultimate_layer(network, 2, 1), torch.from_numpy(image))
    found = extract_features(network, [case], every_pixel(case), divisor=divisor)
    np.testing.assert_allclose(found.features, features[(0, slice(None), *inside)].flatten(1).T, atol=1e-4)
    expected = logits.softmax(dim=1)[(0, slice(None), *inside)].flatten(1).T
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-4)
    np.testing.assert_array_equal(found.predictions, expected.argmax(dim=1))


def seen_batches(network, cases, pixels, **settings) -> list[tuple[int, ...]]:
    batches: list[tuple[int, ...]] = []
    handle = network.register_forward_pre_hook(lambda _network, inputs: batches.append(tuple(inputs[0].shape)))
    extract_features(network, cases, pixels, **settings)
    handle.remove()
    return batches


def test_only_windows_with_sampled_pixels_run():
    network = nn.Sequential(nn.Conv2d(1, 2, 1))
    cases = [make_case((40, 40), name) for name in "abc"]
    # 4 x 4 windows of 10 pixels. Two pixels share a window of the first case; the third case has two; the second none.
    pixels = pixels_at((0, 0), (9, 9), (0, 10), (39, 39), case_index=[0, 0, 2, 2])
    settings = {"layer": "0", "roi_size": (10, 10)}
    assert seen_batches(network, cases, pixels, **settings, batch_size=2) == [(2, 1, 10, 10), (1, 1, 10, 10)]
    assert len(seen_batches(network, cases, pixels, **settings, batch_size=1)) == 3


def test_images_of_one_shape_share_a_batch():
    network = nn.Sequential(nn.Conv2d(1, 2, 1))
    cases = [make_case((8, 8)), make_case((8, 12)), make_case((8, 8)), make_case((8, 12))]
    pixels = pixels_at((0, 0), (0, 0), (0, 0), (0, 0), case_index=[0, 1, 2, 3])
    assert seen_batches(network, cases, pixels, layer="0") == [(2, 1, 8, 8), (2, 1, 8, 12)]


def test_every_pixel_gets_its_own_values_in_any_order():
    # The network doubles its two channels, then adds the second to the first: the truth is known at each pixel.
    network = nn.Sequential(nn.Conv2d(2, 2, 1, bias=False), nn.Conv2d(2, 1, 1, bias=False))
    network[0].weight.data = 2 * torch.eye(2)[:, :, None, None]
    network[1].weight.data = torch.ones(1, 2, 1, 1)
    cases = [make_case((13, 21), "a", 2, seed=1), make_case((30, 8), "b", 2, seed=2)]
    pixels = every_pixel(*cases)
    order = np.random.default_rng(0).permutation(len(pixels.case_index))[:300]
    pixels = SimpleNamespace(case_index=pixels.case_index[order], position=pixels.position[order])
    found = extract_features(network, cases, pixels, roi_size=(10, 10), activation="sigmoid")
    images = [cases[index].image for index in pixels.case_index]
    values = np.array([image[:, i, j] for image, (i, j) in zip(images, pixels.position, strict=True)])
    np.testing.assert_allclose(found.features, 2 * values, rtol=1e-6)
    present = 1 / (1 + np.exp(-2 * values.sum(axis=1)))
    np.testing.assert_allclose(found.probabilities, np.column_stack([1 - present, present]), atol=1e-6)
    assert found.features.dtype == found.probabilities.dtype == np.float32


def test_overlapping_structures_become_a_distribution_over_their_combinations():
    network = nn.Conv2d(2, 2, 1, bias=False)
    network.weight.data = torch.eye(2)[:, :, None, None]
    logit = math.log(3)  # p = 3/4
    image = np.full((2, 1, 1), 0.0, np.float32)
    image[:, 0, 0] = logit, -logit  # p = 3/4 and 1/4
    case = Case("a", image, np.zeros((1, 1), np.uint8), (1.0, 1.0))
    wrapped = nn.Sequential(network)
    found = extract_features(wrapped, [case], pixels_at((0, 0)), activation="sigmoid")
    # none: 1/4 3/4; first only: 3/4 3/4; second only: 1/4 1/4; both: 3/4 1/4
    np.testing.assert_allclose(found.probabilities, np.array([[3, 9, 1, 3]]) / 16, rtol=1e-6)
    assert found.predictions.tolist() == [1]


def test_features_of_any_named_layer_are_brought_to_the_resolution_of_the_image():
    # The second convolution reads means over 2 x 2 pixels. Linear interpolation between their centres, at 0.5, 2.5 and
    # 4.5, gives at 0..5: the first, 3/4 a + 1/4 b, 1/4 a + 3/4 b, ... and the last.
    network = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, 1, 1), nn.Upsample(scale_factor=2), nn.Conv2d(1, 2, 1))
    image = np.repeat(np.array([0.0, 0.0, 8.0, 8.0, 4.0, 4.0], np.float32)[None, None], 6, axis=1)
    case = Case("a", image, np.zeros((6, 6), np.uint8), (1.0, 1.0))
    found = extract_features(network, [case], pixels_at(*((2, j) for j in range(6))), layer="1", divisor=2)
    np.testing.assert_allclose(found.features[:, 0], [0, 2, 6, 7, 5, 4])


def test_a_named_layer_has_its_own_width():
    network, divisor = make_network(width=4)
    case = make_case((32, 32))
    found = extract_features(network, [case], pixels_at((3, 4)), layer="down_3", divisor=divisor)
    assert found.features.shape == (1, 8)
    assert found.probabilities.shape == (1, 3)


def test_same_call_same_bits_and_no_dropout():
    network, divisor = make_network("SegResNet")
    network = nn.Sequential(nn.Dropout(0.5), network).train()
    cases = [make_case((40, 56), "a"), make_case((48, 48), "b", seed=1)]
    sample = sample_pixels(cases, n_pixels=100, repetitions=3, rng=np.random.default_rng(0))
    first, second = (extract_features(network, cases, sample, divisor=divisor) for _ in range(2))
    np.testing.assert_array_equal(first.features, second.features)
    np.testing.assert_array_equal(first.probabilities, second.probabilities)
    np.testing.assert_allclose(first.probabilities.sum(axis=1), 1, atol=1e-6)
    assert len(first.features) == len(sample)


# --- what goes wrong, in one line ---


@pytest.mark.parametrize("roi_size", [(30, 32), (32,), (0, 16)])
def test_a_window_that_does_not_fit_the_network_is_an_error(roi_size):
    network, divisor = make_network()
    with pytest.raises(NetworkError, match="multiples of 16"):
        extract_features(network, [make_case((32, 32))], pixels_at((0, 0)), roi_size=roi_size, divisor=divisor)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_network_that_gives_no_finite_values_is_an_error(broken):
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 1))
    network[0].bias.data[:] = broken
    with pytest.raises(NetworkError, match="NaN or infinite features"):
        extract_features(network, [make_case((4, 4))], pixels_at((0, 0)))


def test_no_pixels_is_an_error():
    with pytest.raises(SamplingError, match="no pixels"):
        extract_features(nn.Conv2d(1, 2, 1), [make_case((4, 4))], pixels_at())


def test_an_unknown_activation_is_an_error():
    with pytest.raises(NetworkError, match="did you mean 'sigmoid'"):
        extract_features(nn.Conv2d(1, 2, 1), [make_case((4, 4))], pixels_at((0, 0)), activation="sigmoids")


def test_too_many_overlapping_structures_are_an_error():
    network = nn.Sequential(nn.Conv2d(1, 9, 1))
    with pytest.raises(NetworkError, match="9 overlapping structures"):
        extract_features(network, [make_case((4, 4))], pixels_at((0, 0)), activation="sigmoid")
