"""Fine-tuning on whole networks: windows of all stations at once, for heads that listen to other stations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from ..data.batch import WaveformBatch
from ..data.loading.network_windows import NetworkLoader
from ..data.network_sources import NetworkSides
from ..foundation.processes import this_process
from .fit import FitConfig


@dataclass(frozen=True, kw_only=True)
class LabelledNetworks:
    """The networks of a run. A batch has `training.batch_size` networks, not windows."""

    sides: NetworkSides
    counted: ClassVar[str] = "networks"

    @property
    def num_train(self) -> int:
        """Recorded windows' records; synthetic networks come without end and are none."""
        return len(self.sides.train_records)

    def loader(self, config: FitConfig) -> OnDevice:
        """This process's share of the training networks, in an order that a resumed run goes on with."""
        process = this_process()
        loader = NetworkLoader(
            self.sides.train, config.training.batch_size, process.process_index, process.num_processes
        )
        return OnDevice(loader, process.device)

    def validation_batches(self, config: FitConfig) -> list[WaveformBatch]:
        """Fixed networks, until they have as many windows as asked for."""
        batches: list[WaveformBatch] = []
        for batch in NetworkLoader(self.sides.validation, config.training.batch_size).batches():
            batches.append(batch)
            if sum(map(len, batches)) >= config.validation_windows:
                break
        return batches


@dataclass(frozen=True)
class OnDevice:
    """A loader whose batches lie where the model is."""

    source: NetworkLoader
    device: torch.device

    def batches(self, start: int) -> Iterator[WaveformBatch]:
        """The batches from a number on, without end."""
        for batch in self.source.batches(start):
            yield batch.to(self.device)
