"""Random changes of training images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gnv2_nas.arch import Preprocessing
from gnv2_nas.data import Augmentation, augment, preprocess
from gnv2_nas.errors import DataError
from tests.data.pictures import noise

PLAIN = Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), ("a", "b"))
COLOURED = Preprocessing((0.5, 0.25, 0.1), (0.2, 0.4, 0.8), ("a", "b"))
STILL = Augmentation(
    area=(1.0, 1.0), aspect=(1.0, 1.0), flip=0, brightness=0, contrast=0, saturation=0
)
"""Changes nothing."""


def changing(**changes: object) -> Augmentation:
    """Nothing but these."""
    values = {name: getattr(STILL, name) for name in STILL.__struct_fields__}
    return Augmentation(**values | changes)


def pictures(count: int = 8, side: int = 24) -> Tensor:
    arrays = [np.asarray(noise(seed, side, side)).transpose(2, 0, 1) for seed in range(count)]
    return torch.from_numpy(np.stack(arrays))


def plain(value: int, count: int = 64, side: int = 16) -> Tensor:
    return torch.full((count, 3, side, side), value, dtype=torch.uint8)


strengths = st.builds(
    Augmentation,
    area=st.sampled_from([(0.35, 1.0), (0.8, 1.3), (0.1, 0.1)]),
    aspect=st.sampled_from([(0.75, 1.33), (0.2, 5.0)]),
    flip=st.floats(0, 1),
    rotation=st.floats(0, 180),
    shift=st.floats(0, 0.5),
    brightness=st.floats(0, 1),
    contrast=st.floats(0, 1),
    saturation=st.floats(0, 1),
    erasing=st.floats(0, 1),
    padding=st.sampled_from(["reflection", "border", "zeros"]),
)


@settings(max_examples=40, deadline=None)
@given(
    augmentation=strengths,
    seed=st.integers(0, 2**63 - 1),
    side=st.integers(4, 40),
    resolution=st.integers(1, 40),
)
def test_a_function_of_its_arguments(
    augmentation: Augmentation, seed: int, side: int, resolution: int
) -> None:
    images = pictures(3, side)
    before = images.clone()
    state = torch.get_rng_state()
    one, same = (augment(images, resolution, COLOURED, augmentation, seed) for _ in range(2))
    assert torch.equal(one, same)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, before)
    assert one.shape == (3, 3, resolution, resolution)
    assert one.dtype == torch.float32
    # Each value is that of a colour in 0..1.
    colours = one * torch.tensor(COLOURED.std).view(3, 1, 1)
    colours += torch.tensor(COLOURED.mean).view(3, 1, 1)
    assert colours.min() >= -1e-6
    assert colours.max() <= 1 + 1e-6


def test_all_is_done_where_the_images_are() -> None:
    # A tensor on "meta" refuses to be combined with one on the CPU, as one on a GPU does.
    images = torch.empty(4, 3, 20, 20, dtype=torch.uint8, device="meta")
    for resolution in (8, 32):
        out = augment(images, resolution, COLOURED, Augmentation(erasing=1.0), 0)
        assert out.device == images.device
        assert preprocess(images, resolution, COLOURED).device == images.device


def test_seeds_and_images_of_a_batch_differ() -> None:
    images = pictures(1).expand(6, -1, -1, -1)
    one, other = (augment(images, 24, PLAIN, Augmentation(), seed) for seed in (0, 1))
    everything = torch.cat([one, other]).flatten(1)
    assert len(torch.unique(everything, dim=0)) == 12


@pytest.mark.parametrize("resolution", [24, 48])
def test_without_changes_it_is_what_evaluation_sees(resolution: int) -> None:
    images = pictures()
    still = augment(images, resolution, COLOURED, STILL, 0)
    assert torch.allclose(still, preprocess(images, resolution, COLOURED), atol=1e-3)


def test_shrinking_averages_fine_patterns() -> None:
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    images = torch.from_numpy(board).expand(4, 3, 64, 64)
    for resolution in (8, 16, 32):
        small = augment(images, resolution, PLAIN, STILL, 0)
        assert (small - 0.5).abs().max() < 0.05


def flipped(images: Tensor, augmentation: Augmentation) -> list[bool]:
    """Which images come back mirrored; the others come back as they are."""
    changed = augment(images, images.shape[-1], PLAIN, augmentation, 0)
    as_is = preprocess(images, images.shape[-1], PLAIN)
    mirrored = (changed - as_is.flip(-1)).abs().amax((1, 2, 3)) < 1e-4
    still = (changed - as_is).abs().amax((1, 2, 3)) < 1e-4
    assert torch.equal(mirrored, ~still)
    return mirrored.tolist()


def test_flips_only_where_asked() -> None:
    assert not any(flipped(pictures(40), changing(flip=0)))
    assert all(flipped(pictures(40), changing(flip=1)))
    assert 8 <= sum(flipped(pictures(40), changing(flip=0.5))) <= 32


def ramp(side: int = 64, count: int = 100) -> Tensor:
    """Red tells the column, green the row."""
    values = torch.arange(side, dtype=torch.uint8)
    red, green = values.expand(side, side), values.view(-1, 1).expand(side, side)
    return torch.stack([red, green, red]).expand(count, 3, side, side)


def test_crops_cover_the_area_and_aspect_asked_for() -> None:
    augmentation = changing(area=(0.25, 0.5), aspect=(0.5, 2.0))
    crops = augment(ramp(), 32, PLAIN, augmentation, 0) * 255
    # From the middle of the first pixel to that of the last; then to the edges.
    width = (crops[:, 0, 0, -1] - crops[:, 0, 0, 0]) * 32 / 31 / 64
    height = (crops[:, 1, -1, 0] - crops[:, 1, 0, 0]) * 32 / 31 / 64
    area, aspect = width * height, width / height
    assert 0.24 < area.min() < 0.29
    assert 0.46 < area.max() < 0.51
    assert 0.49 < aspect.min() < 0.6
    assert 1.7 < aspect.max() < 2.05


def test_crops_come_from_everywhere_and_stay_inside() -> None:
    crops = augment(ramp(), 16, PLAIN, changing(area=(0.25, 0.25), padding="zeros"), 0) * 255
    left, right = crops[:, 0, 0, 0], crops[:, 0, 0, -1]
    assert 0 <= left.min() < 4
    assert 59 < right.max() <= 63
    # Were anything from outside shown, it would be black, left of what is bright.
    assert (right - left).min() > 25


def test_rotation_turns_about_the_middle() -> None:
    images = ramp(side=63, count=200)
    turned = augment(images, 63, PLAIN, changing(rotation=30.0, padding="border"), 0) * 255
    assert torch.allclose(turned[:, :2, 31, 31], torch.tensor(31.0), atol=0.1)
    step = turned[:, :2, 31, 36] - turned[:, :2, 31, 26]
    angles = torch.rad2deg(torch.atan2(step[:, 1], step[:, 0]))
    assert step.norm(dim=1).sub(10).abs().max() < 0.1
    assert -30.1 < angles.min() < -25
    assert 25 < angles.max() < 30.1


def test_shift_goes_to_every_side() -> None:
    moved = augment(ramp(), 64, PLAIN, changing(shift=0.25), 0) * 255
    for colour in (0, 1):
        offset = moved[:, colour, 32, 32] - 32
        assert -16.1 < offset.min() < -12
        assert 12 < offset.max() < 16.1


@pytest.mark.parametrize(("padding", "share"), [("zeros", 0.25), ("border", 1.0)])
def test_what_lies_around_an_image(padding: str, share: float) -> None:
    # Four times the area: the image is a quarter of what is shown, and all of it is there.
    white = augment(plain(255), 16, PLAIN, changing(area=(4.0, 4.0), padding=padding), 0)
    assert torch.allclose(white.mean((1, 2, 3)), torch.tensor(share), atol=1e-3)


def test_brightness_multiplies() -> None:
    values = augment(plain(100), 4, PLAIN, changing(brightness=0.5), 0)[:, 0, 0, 0] * 255
    assert 50 <= values.min() < 60
    assert 140 < values.max() <= 150


def test_contrast_keeps_the_mean_grey() -> None:
    images = plain(100)
    images[:, :, :, 8:] = 150
    changed = augment(images, 16, PLAIN, changing(contrast=0.5), 0) * 255
    assert torch.allclose(changed.mean((1, 2, 3)), torch.tensor(125.0), atol=0.1)
    spread = changed[:, 0, 0, 15] - changed[:, 0, 0, 0]
    assert 25 <= spread.min() < 30
    assert 70 < spread.max() <= 75.1


def test_saturation_keeps_the_grey_of_a_pixel() -> None:
    images = torch.tensor([150, 100, 50], dtype=torch.uint8).view(1, 3, 1, 1).expand(64, 3, 4, 4)
    changed = augment(images, 4, PLAIN, changing(saturation=0.5), 0)[:, :, 0, 0] * 255
    grey = changed @ torch.tensor([0.299, 0.587, 0.114])
    assert torch.allclose(grey, torch.tensor(109.25), atol=0.1)
    spread = changed[:, 0] - changed[:, 2]
    assert 50 <= spread.min() < 60
    assert 140 < spread.max() <= 150.1


def test_erasing_shows_the_mean_colour() -> None:
    erased = augment(plain(255), 32, COLOURED, changing(erasing=1.0), 0)
    share = (erased == 0).all(1).float().mean((1, 2))
    assert share.max() < 0.25
    assert (share > 0).float().mean() > 0.8
    assert torch.all(augment(plain(255), 32, COLOURED, changing(erasing=0.0), 0) != 0)


@pytest.mark.parametrize(
    "change",
    [
        {"area": (0.5, 0.2)}, {"area": (0.0, 1.0)}, {"aspect": (2.0, 1.0)}, {"flip": 1.5},
        {"brightness": -0.1}, {"rotation": -5.0}, {"shift": float("nan")},
    ],
)  # fmt: skip
def test_strengths_that_make_no_sense(change: dict[str, object]) -> None:
    with pytest.raises(DataError, match=next(iter(change))):
        changing(**change)


def test_strength_0_changes_nothing_and_1_is_the_data_set_s_own():
    own = Augmentation(rotation=5, shift=0.1, erasing=0.3)
    assert own.scale(1.0) == own
    none = own.scale(0.0)
    assert none == Augmentation(
        area=(1, 1), aspect=(1, 1), flip=0, rotation=0, shift=0, brightness=0, contrast=0,
        saturation=0, erasing=0,
    )  # fmt: skip


@given(st.floats(0, 20))
def test_any_strength_is_a_valid_augmentation(strength):
    changed = Augmentation(area=(0.35, 1.5), erasing=0.5, rotation=10).scale(strength)
    assert changed.rotation == pytest.approx(10 * strength)
    assert changed.area[0] <= 1 <= changed.area[1]
