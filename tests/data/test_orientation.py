import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from seisfm.data.instruments.orientation import motion_axes, rotate_to_zne, zne_matrix

UP, NORTH, EAST = (0.0, -90.0), (0.0, 0.0), (90.0, 0.0)
ANGLE = st.floats(0.0, 360.0)


def angles(*axes):
    return torch.tensor([axes], dtype=torch.float64).unbind(-1)


def motion(num_samples=50, seed=0):
    """Random motion up, north and east, `(1, 3, sample)`."""
    return torch.randn(1, 3, num_samples, generator=torch.Generator().manual_seed(seed))


def recorded(truth, azimuth, dip):
    return (motion_axes(azimuth, dip) @ truth.double()).float()


def test_axes_by_the_seed_convention():
    axes = motion_axes(*angles(UP, NORTH, EAST, (0.0, 90.0), (180.0, 0.0)))
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    torch.testing.assert_close(axes[0], torch.tensor(expected).double(), atol=1e-12, rtol=0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(ANGLE, st.floats(-90.0, 90.0)), min_size=3, max_size=3))
def test_any_three_axes_that_span_the_space_give_the_motion_back(axes):
    azimuth, dip = angles(*axes)
    assume(float(torch.linalg.det(motion_axes(azimuth, dip)).abs()) > 0.11)
    truth = motion()
    turned = rotate_to_zne(recorded(truth, azimuth, dip), azimuth, dip)
    torch.testing.assert_close(turned, truth, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("axes", "order"),
    [
        ((UP, NORTH, EAST), (0, 1, 2)),
        ((UP, EAST, NORTH), (0, 2, 1)),
        (((0.0, 90.0), (180.0, 0.0), (270.0, 0.0)), (0, 1, 2)),
        (((123.0, 90.0), (360.0, 0.0), (90.0, 0.0)), (0, 1, 2)),
    ],
)
def test_axes_along_up_north_and_east_keep_every_bit(axes, order):
    samples = 1e7 + motion()
    turned = rotate_to_zne(samples, *angles(*axes))
    signs = torch.tensor(
        [-1.0 if axis in [(0.0, 90.0), (123.0, 90.0), (180.0, 0.0), (270.0, 0.0)] else 1.0 for axis in axes]
    )
    assert torch.equal(turned, (samples * signs[:, None])[:, order])


def test_a_missing_horizontal_takes_the_other_along_but_not_the_vertical():
    azimuth, dip = angles(UP, (30.0, 0.0), (120.0, 0.0))
    samples = recorded(motion(), azimuth, dip)
    samples[0, 1, 10:20] = torch.nan
    turned = rotate_to_zne(samples, azimuth, dip)
    assert torch.equal(turned[0, 0], samples[0, 0])
    assert turned[0, 1:, 10:20].isnan().all()
    whole = turned[0, 1:, [i for i in range(50) if not 10 <= i < 20]]
    assert whole.isfinite().all()


@given(ANGLE)
def test_a_vertical_alone_is_turned_up_whatever_is_known_of_the_others(azimuth_deg):
    samples = motion()
    samples[0, 1:] = torch.nan
    unknown = (float("nan"), float("nan"))
    turned = rotate_to_zne(samples, *angles((azimuth_deg, 90.0), unknown, unknown))
    assert torch.equal(turned[0, 0], -samples[0, 0])
    assert turned[0, 1:].isnan().all()


@given(ANGLE)
def test_two_horizontals_need_no_vertical(azimuth_deg):
    azimuth, dip = angles((float("nan"), float("nan")), (azimuth_deg, 0.0), ((azimuth_deg + 80.0) % 360, 0.0))
    truth = motion()
    samples = torch.full((1, 3, 50), torch.nan)
    samples[:, 1:] = recorded(truth, azimuth[:, 1:], dip[:, 1:])
    turned = rotate_to_zne(samples, azimuth, dip)
    torch.testing.assert_close(turned[0, 1:], truth[0, 1:], atol=1e-4, rtol=0)
    assert turned[0, 0].isnan().all()


def test_windows_are_turned_each_by_its_own_angles():
    sets = [
        (UP, NORTH, EAST),
        (UP, (10.0, 0.0), (100.0, 0.0)),
        ((0.0, -35.3), (120.0, -35.3), (240.0, -35.3)),
    ]
    azimuth, dip = (torch.cat(parts) for parts in zip(*(angles(*axes) for axes in sets), strict=True))
    samples = torch.cat([motion(seed=seed) for seed in range(3)])
    together = rotate_to_zne(samples, azimuth, dip)
    alone = [rotate_to_zne(samples[[i]], azimuth[[i]], dip[[i]]) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_three_axes_in_a_plane_are_refused():
    flat = angles(NORTH, EAST, (45.0, 0.0))
    assert zne_matrix(*flat).isnan().all()
    with pytest.raises(ValueError, match=r"windows \[0\] do not span the space.*45.0"):
        rotate_to_zne(motion(), *flat)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="three components"):
        rotate_to_zne(motion()[:, :2], *angles(UP, NORTH))
