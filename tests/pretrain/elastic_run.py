"""A small pretraining that tests run in one process or start in two.

`torchrun --nproc_per_node 2 elastic_run.py FOLDER` trains in FOLDER/sharded with shared-out weights to step
15, with a break at 10, and in FOLDER/killed with whole weights until it kills itself after step 12.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from seisfm.data.loading.loader import WindowLoader
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.records import Record
from seisfm.foundation.backbones.seismic import SeismicConfig, SeismicModel
from seisfm.foundation.contract import InputContract, WindowRange
from seisfm.foundation.processes import this_process
from seisfm.foundation.training import TrainingConfig, train
from seisfm.pretrain.held_out import HeldOut
from seisfm.pretrain.objectives.mae import MaskedAutoencoder, MaskedAutoencoderConfig
from seisfm.pretrain.pretraining import Pretraining

WINDOWS_PER_UPDATE = 8
NANO = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "stem_channels": [4, 4, 4]}


class BrokenOffError(Exception):
    """A run that a test ends after a step."""


def records():
    """Noise with a burst; one record has a gap, so that windows differ in how much of them is judged."""
    generator = np.random.default_rng(0)
    made = []
    for number in range(12):
        waveform = generator.standard_normal((3, 1200)).astype(np.float32)
        waveform[:, 500:600] *= 20
        waveform[:, : 50 * number] = np.nan
        record = Record(
            record_id=f"r{number}",
            waveform=waveform,
            component_names=("Z", "N", "E"),
            sampling_rate_hz=100.0,
            station_id=f"XX.S{number}.",
        )
        made.append(record)
    return made


def loader(batch_size, rank, world_size):
    return WindowLoader(
        records(), WindowConfig(window_s=6.0), None, batch_size, seed=3, rank=rank, world_size=world_size
    )


def pretraining():
    torch.manual_seed(0)
    contract = InputContract(window_s=WindowRange(min=4.0, max=60.0, preferred=6.0))
    model = SeismicModel(SeismicConfig(input_contract=contract.to_dict(), **NANO))
    mae = MaskedAutoencoder(
        model, MaskedAutoencoderConfig(decoder_size=16, decoder_layers=1, decoder_heads=2)
    )
    return Pretraining(model, {"mae": mae}, {})


def run(folder, *, batch_size=None, accumulation=1, on_step=None, objective=None, **changes):
    """Train to step 20 with eight windows an update, or as `changes` say."""
    process = this_process()
    size = batch_size or WINDOWS_PER_UPDATE // process.num_processes // accumulation
    config = TrainingConfig(
        **{
            "max_steps": 20,
            "batch_size": size,
            "gradient_accumulation_steps": accumulation,
            "warmup_steps": 2,
            "ema_decay": 0.9,
            "checkpoint_every": 5,
            "log_every": 1,
        }
        | changes
    )
    batches = loader(size, process.process_index, process.num_processes)
    held_out = HeldOut([loader(4, 0, 1).batch(1000)])
    objective = objective or pretraining()
    result = train(objective, batches, config, folder, validate=held_out.score, on_step=on_step)
    return objective, result


def end_after(last):
    def on_step(step, figures):
        # One step later than its checkpoint, which is written after this call.
        if step == last + 1:
            raise BrokenOffError

    return on_step


def die_after(last):
    def on_step(step, figures):
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)

    return on_step


def main(folder):
    os.environ |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
    for last in (10, 15):
        try:
            run(folder / "sharded", on_step=end_after(last))
        except BrokenOffError:
            print(f"broken off after {last}", flush=True)
    os.environ["ACCELERATE_USE_FSDP"] = "false"
    run(folder / "killed", on_step=die_after(12))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
