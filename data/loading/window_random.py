"""Random numbers that belong to a window, whatever batch, process or device it falls into."""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15, as all constants here in two's complement
_FIRST = -4658895280553007687  # 0xBF58476D1CE4E5B9
_SECOND = -7723592293110705685  # 0x94D049BB133111EB
_ALL_BITS = (1 << 64) - 1


class WindowRandom:
    """A counter-based source of random numbers for each window of a batch.

    A number is a hash of the window's key, the name of the draw and the place in it (SplitMix64: Steele et
    al. 2014, https://doi.org/10.1145/2714064.2660195), so that a window meets the same augmentation in a
    batch of 1 or 64, on one process or eight. Drawing the same name twice gives the same numbers: each use
    needs a name of its own.

    keys: int64 `(window,)`, one a window, on the device where the numbers are wanted. See `window_keys`.
    shared_key: of what a whole batch must decide together, such as its sampling rate.
    """

    def __init__(self, keys: Tensor, shared_key: int = 0):
        if keys.ndim != 1 or keys.dtype != torch.int64:
            raise ValueError(f"keys must be int64 (window,), found {keys.dtype} {tuple(keys.shape)}")
        self.keys = keys
        self.shared_key = shared_key

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def device(self) -> torch.device:
        """Where the numbers are made."""
        return self.keys.device

    def to(self, device: torch.device | str) -> WindowRandom:
        """The same numbers on another device."""
        return WindowRandom(self.keys.to(device), self.shared_key)

    def select(self, rows: Tensor) -> WindowRandom:
        """The same numbers for some of the windows, rows int64 or bool."""
        return WindowRandom(self.keys[rows], self.shared_key)

    def derive(self, name: str) -> WindowRandom:
        """Another, independent source for the same windows: for a window that is drawn for each of these."""
        return WindowRandom(_mix(self.keys ^ _name_key(name)), _scalar_mix(self.shared_key ^ _name_key(name)))

    def bits(self, name: str, *shape: int) -> Tensor:
        """Uniform int64 `(window, *shape)`."""
        place = torch.arange(1, math.prod(shape) + 1, device=self.device) * _GOLDEN
        return _mix((self.keys ^ _name_key(name))[:, None] + place).reshape(len(self), *shape)

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Float32 in [0, 1) `(window, *shape)`, multiples of 2**-24."""
        return self.bits(name, *shape).bitwise_and_(0xFFFFFF).float().mul_(2.0**-24)

    def uniform64(self, name: str, *shape: int) -> Tensor:
        """Float64 in [0, 1) `(window, *shape)`, multiples of 2**-53: for places in long records."""
        return self.bits(name, *shape).bitwise_and_(0x1FFFFFFFFFFFFF).double().mul_(2.0**-53)

    def normal(self, name: str, *shape: int) -> Tensor:
        """Float32 `(window, *shape)` of a normal distribution (Box & Muller 1958), two from each hash."""
        count = math.prod(shape)
        halves = self.bits(name, (count + 1) // 2).view(torch.int32).unflatten(1, (-1, 2))
        # 31 bits are the radius's, whose half keeps the logarithm's argument above 0; 32 the angle's, ± π.
        radius = (halves[..., 0] & 0x7FFFFFFF).float().add_(0.5).mul_(2.0**-31).log_().mul_(-2.0).sqrt_()
        angle = halves[..., 1].float().mul_(math.pi * 2.0**-31)
        pair = torch.cat([angle.cos().mul_(radius), angle.sin_().mul_(radius)], dim=1)
        return pair[:, :count].reshape(len(self), *shape)

    def shared_uniform(self, name: str) -> float:
        """One number in [0, 1) for the whole batch, from `shared_key`."""
        return ((_scalar_mix(self.shared_key ^ _name_key(name)) >> 11) & 0x1FFFFFFFFFFFFF) * 2.0**-53


def window_keys(numbers: Tensor, *seeds: int | str) -> Tensor:
    """The keys of windows, int64 `(window,)`: of their numbers (int64, places in an epoch) and seeds."""
    return _mix(numbers * _GOLDEN + _key("/".join(map(str, seeds))))


def shared_key(number: int, *seeds: int | str) -> int:
    """A key for `WindowRandom.shared_key`, of a number (such as a block of an epoch) and seeds."""
    return _key("/".join(map(str, (number, *seeds))))


def _mix(value: Tensor) -> Tensor:
    """SplitMix64's finalizer. In place where it can be: memory is what takes the time."""
    # `>>` repeats the sign, the mask takes that away.
    value = (value >> 30).bitwise_and_(0x3FFFFFFFF).bitwise_xor_(value).mul_(_FIRST)
    value = (value >> 27).bitwise_and_(0x1FFFFFFFFF).bitwise_xor_(value).mul_(_SECOND)
    return (value >> 31).bitwise_and_(0x1FFFFFFFF).bitwise_xor_(value)


def _scalar_mix(value: int) -> int:
    """`_mix` of one number, without a tensor."""
    value &= _ALL_BITS
    value = ((value ^ (value >> 30)) * _FIRST) & _ALL_BITS
    value = ((value ^ (value >> 27)) * _SECOND) & _ALL_BITS
    value ^= value >> 31
    return value - (1 << 64) if value >> 63 else value


@lru_cache(maxsize=256)
def _name_key(name: str) -> int:
    return _key(f"draw {name}")


def _key(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], signed=True)
