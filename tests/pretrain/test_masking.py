import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.pretrain.objectives.masking import KINDS, MaskConfig, hidden_tokens

TOKEN_S = 0.16


def draw(config, shape, seed=0):
    num_windows, num_tokens = shape
    random = WindowRandom(window_keys(torch.arange(num_windows), seed))
    return hidden_tokens(config, num_tokens, TOKEN_S, random)


def num_pieces(mask):
    """How many connected hidden pieces each window has."""
    before = torch.cat([torch.zeros(len(mask), 1, dtype=torch.bool), mask[:, :-1]], dim=1)
    return (mask & ~before).sum(dim=1)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    ratio=st.floats(0.1, 0.9),
    num_tokens=st.integers(10, 400),
    num_windows=st.integers(1, 5),
    seed=st.integers(0, 2**31),
)
def test_every_window_hides_exactly_the_same_number(kind, ratio, num_tokens, num_windows, seed):
    mask = draw(MaskConfig(kind=kind, ratio=ratio), (num_windows, num_tokens), seed)
    assert mask.shape == (num_windows, num_tokens) and mask.dtype == torch.bool
    assert mask.sum(dim=1).tolist() == [round(ratio * num_tokens)] * num_windows


def test_spans_are_longer_than_single_tokens_and_blocks_longer_than_spans():
    masks = {kind: draw(MaskConfig(kind=kind, ratio=0.7), (200, 188)) for kind in KINDS}
    pieces = {kind: float(num_pieces(mask).float().mean()) for kind, mask in masks.items()}
    assert pieces["random"] > 2 * pieces["span"] > 4 * pieces["block"]
    assert pieces["block"] < pieces["mixed"] < pieces["random"]


def test_a_small_share_of_long_blocks_is_one_piece():
    pieces = num_pieces(draw(MaskConfig(kind="block", ratio=0.1, block_s=10.0), (500, 200)))
    # More only where the first one lies half outside.
    assert pieces.max() <= 3 and pieces.float().mean() < 1.3


@pytest.mark.parametrize("kind", KINDS)
def test_no_place_in_the_window_is_favoured(kind):
    share = draw(MaskConfig(kind=kind, ratio=0.5), (4000, 60)).float().mean(dim=0)
    assert share.min() > 0.42 and share.max() < 0.58


def test_the_same_generator_gives_the_same_mask_and_mixed_windows_differ_in_kind():
    config = MaskConfig()
    assert torch.equal(draw(config, (30, 188), 5), draw(config, (30, 188), 5))
    assert not torch.equal(draw(config, (30, 188), 5), draw(config, (30, 188), 6))
    pieces = num_pieces(draw(config, (30, 188), 5))
    assert pieces.max() > 30 and pieces.min() < 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "stripes"}, r"mask kind must be one of .*span.*, found 'stripes'"),
        ({"ratio": 1.0}, r"mask ratio must lie between 0 and 1, found 1\.0"),
        ({"span_s": 3.0, "block_s": 2.0}, r"span_s must be positive and at most block_s"),
    ],
)
def test_masks_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MaskConfig(**settings)


def test_a_window_with_nothing_left_to_show_is_refused():
    with pytest.raises(ValueError, match=r"tokens to hide and to show; 2 at a ratio of 0\.9 have 2 hidden"):
        draw(MaskConfig(ratio=0.9), (3, 2))
