"""Every objective in turn, 20 updates of four windows, in one process or in two that share the windows.

`torchrun --nproc_per_node 2 two_ranks_run.py FOLDER` trains in FOLDER/{objective}, and in FOLDER/killed until
the second process kills itself after the third update.
"""

import importlib.util
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from seisfm.data.loading.loader import WindowLoader
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.records import Arrival, Record
from seisfm.foundation.processes import this_process
from seisfm.foundation.training import TrainingConfig, train

_spec = importlib.util.spec_from_file_location(
    "objective_settings", Path(__file__).with_name("objective_settings.py")
)
ours = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ours)

WINDOWS_PER_UPDATE = 4
NUM_UPDATES = 20


def records():
    """Noise with bursts, two stations an event; gaps, and labels that one in three records lacks.

    So the windows of two processes differ in how much of them is judged.
    """
    generator = np.random.default_rng(0)
    made = []
    for number in range(12):
        waveform = generator.standard_normal((3, 1600)).astype(np.float32)
        waveform[:, 700:800] *= 20
        waveform[:, : 60 * number] = np.nan
        arrivals = (Arrival(phase="P", time_s=7.0), Arrival(phase="S", time_s=8.0))
        made.append(
            Record(
                record_id=f"r{number}",
                waveform=waveform,
                component_names=("Z", "N", "E"),
                sampling_rate_hz=100.0,
                station_id=f"XX.S{number}.",
                event_id=f"e{number // 2}",
                arrivals=arrivals if number % 3 else (),
                labelled_phases=frozenset("PS") if number % 3 else frozenset(),
                metadata={"source_magnitude": 1.0 + number // 2, "path_ep_distance_km": 10.0 + number},
            )
        )
    return made


def run(name, folder, on_step=None):
    """Train one objective in `folder`, as one of the processes that there are."""
    process = this_process()
    batch_size = WINDOWS_PER_UPDATE // process.num_processes
    loader = WindowLoader(
        records(),
        WindowConfig(window_s=10.4),
        None,
        batch_size,
        seed=3,
        rank=process.process_index,
        world_size=process.num_processes,
    )
    config = TrainingConfig(
        max_steps=NUM_UPDATES, batch_size=batch_size, warmup_steps=5, checkpoint_every=10, log_every=1
    )
    pretraining = ours.make_pretraining(name)

    def after_update(step, figures):
        pretraining.after_update()
        if on_step is not None:
            on_step(step)

    return train(pretraining, loader, config, folder, on_step=after_update)


def die(step):
    if step == 3 and this_process().process_index == 1:
        print(f"killed at {time.time()}", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


def main(folder):
    for name in ours.SETTINGS:
        run(name, folder / name)
    run("mae", folder / "killed", on_step=die)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
