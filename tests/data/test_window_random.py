import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from seisfm.data.loading.window_random import WindowRandom, shared_key, window_keys

# Everything here is seeded: a p-value is a fixed number, not a matter of luck. Below this one it would be a
# fault of the generator.
SMALLEST_P = 1e-4
MANY = 100_000


def make_random(count, *seeds) -> WindowRandom:
    return WindowRandom(window_keys(torch.arange(count), *seeds), shared_key(count, *seeds))


def uniformity_p(values, bins=256):
    counts = np.histogram(np.asarray(values), bins=bins, range=(0.0, 1.0))[0]
    return stats.chisquare(counts).pvalue


def independence_p(first, second, bins=16):
    """Of a chi-square test that two uniform variables fill the square evenly."""
    counts = np.histogram2d(np.asarray(first), np.asarray(second), bins=bins, range=[(0, 1), (0, 1)])[0]
    return stats.chisquare(counts.ravel()).pvalue


def test_the_hash_is_splitmix64():
    """The first three numbers of SplitMix64 from state 0, as its authors' code gives them."""
    name_key = int.from_bytes(hashlib.sha256(b"draw any").digest()[:8], signed=True)
    bits = WindowRandom(torch.tensor([name_key])).bits("any", 3)[0]
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert [value % 2**64 for value in bits.tolist()] == expected


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 39), max_size=40), st.sampled_from([(), (1,), (3,), (2, 5)]))
def test_a_windows_numbers_do_not_depend_on_its_company(rows, shape):
    random, chosen = make_random(40, "a"), torch.tensor(rows, dtype=torch.int64)
    part = random.select(chosen)
    assert len(part) == len(rows)
    for draw in ("bits", "uniform", "uniform64", "normal"):
        everyone = getattr(random, draw)("x", *shape)
        assert everyone.shape == (40, *shape)
        assert torch.equal(getattr(part, draw)("x", *shape), everyone[chosen])
        derived = getattr(random.derive("y"), draw)("x", *shape)
        assert torch.equal(getattr(part.derive("y"), draw)("x", *shape), derived[chosen])


def test_a_mask_selects_too_and_the_shared_key_comes_along():
    random = make_random(6, "a")
    mask = torch.tensor([True, False, True, False, False, True])
    part = random.select(mask).to("cpu")
    assert torch.equal(part.uniform("x"), random.uniform("x")[mask])
    assert part.shared_uniform("x") == random.shared_uniform("x")
    assert part.device == torch.device("cpu")


def test_the_same_name_gives_the_same_numbers_and_more_places_the_same_first_ones():
    random = make_random(5, "a")
    assert torch.equal(random.uniform("x", 7), random.uniform("x", 7))
    assert torch.equal(random.uniform("x", 7)[:, 0], random.uniform("x"))
    assert torch.equal(random.uniform("x", 2, 3).flatten(1), random.uniform("x", 6))


@pytest.mark.parametrize("draw", ["uniform", "uniform64"])
def test_uniform_numbers_are_uniform(draw):
    over_windows = getattr(make_random(MANY, 0), draw)("x")
    over_places = getattr(make_random(4, 0), draw)("x", MANY // 4)
    for values in (over_windows, over_places.flatten()):
        assert float(values.min()) >= 0.0 and float(values.max()) < 1.0
        assert uniformity_p(values) > SMALLEST_P
        assert uniformity_p((values * 4096) % 1.0) > SMALLEST_P  # the lower digits
    assert torch.equal(over_windows * 2**24 % 1.0 == 0, torch.full((MANY,), draw == "uniform"))


def test_each_bit_is_set_half_of_the_time():
    bits = make_random(MANY, 1).bits("x")
    share = torch.stack([((bits >> place) & 1).double().mean() for place in range(64)])
    assert float((share - 0.5).abs().max()) < 4.5 * 0.5 / MANY**0.5


def test_neighbours_of_every_kind_are_independent():
    random = make_random(MANY, 2)
    first, second = random.uniform("x", 2).unbind(1)
    pairs = {
        "places": (first, second),
        "names": (first, random.uniform("y")),
        "names that differ in one letter": (random.uniform("gain/a"), random.uniform("gain/b")),
        "windows": (first[:-1], first[1:]),
        "seeds": (first, make_random(MANY, 3).uniform("x")),
        "derived": (first, random.derive("x").uniform("x")),
        "derived twice": (random.derive("y").uniform("x"), random.derive("y").derive("y").uniform("x")),
        "a place and the next window's": (second[:-1], first[1:]),
    }
    p_values = {name: independence_p(*pair) for name, pair in pairs.items()}
    assert min(p_values.values()) > SMALLEST_P, p_values
    correlations = {name: float(np.corrcoef(*map(np.asarray, pair))[0, 1]) for name, pair in pairs.items()}
    assert max(map(abs, correlations.values())) < 4.5 / MANY**0.5, correlations


def test_windows_one_bit_apart_share_nothing():
    """Half of the bits of a number change with any bit of the key (avalanche)."""
    keys = window_keys(torch.arange(2000), 4)
    changed = WindowRandom(keys).bits("x") ^ WindowRandom(keys ^ (1 << 17)).bits("x")
    num_changed = sum(((changed >> place) & 1) for place in range(64)).double()
    assert abs(float(num_changed.mean()) - 32) < 4.5 * 4 / 2000**0.5


@pytest.mark.parametrize("shape", [(1,), (2,), (3, 7)])
def test_normal_numbers_are_normal(shape):
    values = make_random(MANY // int(np.prod(shape)), 5).normal("x", *shape).double().numpy()
    count = values.size
    assert abs(values.mean()) < 4.5 / count**0.5
    assert abs(values.var() - 1) < 4.5 * (2 / count) ** 0.5
    assert abs(stats.skew(values, axis=None)) < 4.5 * (6 / count) ** 0.5
    assert abs(stats.kurtosis(values, axis=None)) < 4.5 * (24 / count) ** 0.5
    assert stats.kstest(values.ravel(), "norm").pvalue > SMALLEST_P
    assert 3.8 < np.abs(values).max() < 6.7
    uniforms = stats.norm.cdf(values.reshape(len(values), -1))
    for other in range(1, min(uniforms.shape[1], 12)):  # the partner of a pair, too
        assert independence_p(uniforms[:, 0], uniforms[:, other], bins=8) > SMALLEST_P


def test_an_odd_count_of_normal_numbers_has_its_shape():
    values = make_random(8, 6).normal("x", 3, 5)
    assert values.shape == (8, 3, 5) and values.dtype == torch.float32 and bool(values.isfinite().all())


def test_no_two_of_a_million_windows_share_a_key():
    keys = torch.cat([window_keys(torch.arange(500_000), "window", seed) for seed in (0, 1)])
    assert len(keys.unique()) == 1_000_000
    assert len(WindowRandom(keys).derive("stacking").keys.unique()) == 1_000_000


def test_the_batch_draws_as_its_windows_do():
    """`derive` gives a shared key what it gives a window's; its uniform numbers are even."""
    keys = window_keys(torch.arange(200), 7)
    derived = WindowRandom(keys).derive("x").keys.tolist()
    assert [WindowRandom(keys, key).derive("x").shared_key for key in keys.tolist()] == derived
    draws = [WindowRandom(keys, shared_key(block, 8)).shared_uniform("x") for block in range(20_000)]
    assert uniformity_p(draws, bins=64) > SMALLEST_P
    assert independence_p(draws[:-1], draws[1:], bins=8) > SMALLEST_P


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (torch.zeros(3), r"found torch.float32 \(3,\)"),
        (torch.zeros(3, 1, dtype=torch.int64), r"found torch.int64 \(3, 1\)"),
    ],
)
def test_keys_of_another_kind_are_refused(keys, found):
    with pytest.raises(ValueError, match=rf"keys must be int64 \(window,\), {found}"):
        WindowRandom(keys)
