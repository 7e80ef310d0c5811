"""Windows of different lengths side by side in one row of tokens, so that padding costs nothing.

A batch whose windows end early (in samples that nobody observed) holds tokens that no one attends to and
whose own results mean nothing. Packed, they are left out, and several short windows share a row, each
attending to itself alone (Krell et al. 2021, arXiv 2107.02027, with rows filled longest first).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_SAVING = 0.1
"""Share of the tokens that packing must save to be worth the copying."""


@dataclass(frozen=True)
class Packing:
    """Where each window's tokens go.

    window, token: int64 `(row, place)`, which window's which token lies there; window −1 where none does.
    """

    window: Tensor
    token: Tensor

    @classmethod
    def of(cls, observed: Tensor) -> Packing:
        """Rows for windows that last until their last token with data, bool `(window, token)`.

        A window without any data keeps its first token. Rows are as long as the longest window.
        """
        place = torch.arange(1, observed.shape[1] + 1, device=observed.device)
        lengths = (observed * place).amax(dim=1).clamp(min=1).tolist()
        rows = filled_rows(lengths)
        window = torch.full((len(rows), max(lengths)), -1)
        token = torch.zeros_like(window)
        for number, members in enumerate(rows):
            first = 0
            for member in members:
                inside = slice(first, first + lengths[member])
                window[number, inside] = member
                token[number, inside] = torch.arange(lengths[member])
                first += lengths[member]
        return cls(window=window.to(observed.device), token=token.to(observed.device))

    def is_worth_it(self, observed: Tensor) -> bool:
        """Whether the rows hold markedly fewer places than the windows, bool `(window, token)`."""
        return self.window.numel() <= (1 - LEAST_SAVING) * observed.numel()

    def pack(self, values: Tensor) -> Tensor:
        """The windows' values `(window, token, …)` in rows `(row, place, …)`; empty places hold any."""
        return values[self.window.clamp(min=0), self.token]

    def unpack(self, values: Tensor, like: Tensor) -> Tensor:
        """Values `(row, place, …)` back in windows, `(window, token, …)` as `like`; 0 after their ends."""
        filled = self.window >= 0
        unpacked = values.new_zeros(*like.shape[:2], *values.shape[2:])
        return unpacked.index_put((self.window[filled], self.token[filled]), values[filled])

    def mask(self, observed: Tensor) -> Tensor:
        """Who looks at whom, bool `(row, 1, place, place)`: at the same window's tokens with data.

        A window without data attends to its empty token; an empty place to the other empty ones.
        """
        visible = self.pack(observed | ~observed.any(dim=1, keepdim=True)) | (self.window < 0)
        same = self.window[:, :, None] == self.window[:, None, :]
        return (same & visible[:, None, :])[:, None]


def filled_rows(lengths: list[int]) -> list[list[int]]:
    """The windows of each row, no row longer than the longest window: each goes where it fits first."""
    capacity = max(lengths)
    rows: list[list[int]] = []
    room: list[int] = []
    for member in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        fitting = next((row for row, free in enumerate(room) if free >= lengths[member]), None)
        if fitting is None:
            rows.append([])
            room.append(capacity)
            fitting = len(rows) - 1
        rows[fitting].append(member)
        room[fitting] -= lengths[member]
    return rows
