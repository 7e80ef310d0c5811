import dataclasses
import importlib.util
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from seisfm.foundation.checkpoints import Checkpoint, CheckpointError, CheckpointFolder
from seisfm.foundation.processes import this_process
from seisfm.foundation.training import NonFiniteError, Stopped, TrainingConfig, train
from seisfm.foundation.training_step import micro_batch_seed
from seisfm.foundation.validation import BestWeights

SCRIPT = Path(__file__).with_name("training_run.py")
_spec = importlib.util.spec_from_file_location("training_run", SCRIPT)
training_run = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(training_run)
CONFIG, Loader, Objective = training_run.CONFIG, training_run.Loader, training_run.Objective


def run(folder, config=CONFIG, objective=None, loader=None, **options):
    objective = objective or Objective()
    options.setdefault("validate", training_run.validation_loss)
    return objective, train(objective, loader or Loader(), config, folder, **options)


def assert_same_files(folder, other, name):
    tensors, others = load_file(folder / name), load_file(other / name)
    assert tensors.keys() == others.keys() and tensors
    for key, tensor in tensors.items():
        assert torch.equal(tensor, others[key]), (name, key)


def assert_same_end(folder, other):
    """Weights, optimizer, average and best weights of two runs, bit by bit."""
    for name in ("objective", "optimizer", "ema"):
        assert_same_files(folder, other, f"checkpoints/step-000024/{name}.safetensors")
    assert_same_files(folder, other, "checkpoints/best.safetensors")
    assert (
        BestWeights(folder / "checkpoints/best.safetensors").scores
        == BestWeights(other / "checkpoints/best.safetensors").scores
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    run(folder)
    return folder


def log_lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


# --- resuming -------------------------------------------------------------------------------------


def start(folder, what, step):
    command = [sys.executable, SCRIPT, folder, what, str(step)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_a_run_killed_at_any_step_resumes_to_the_same_bits(uninterrupted, tmp_path):
    step = random.SystemRandom().randint(6, 23)
    with start(tmp_path, "die", step) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    _, result = run(tmp_path)
    # It dies inside of the step, before that step's own checkpoint.
    assert result.resumed_from == (step - 1) // 5 * 5, step
    assert_same_end(tmp_path, uninterrupted)


def test_sigterm_finishes_the_step_saves_and_resumes_to_the_same_bits(uninterrupted, tmp_path):
    with start(tmp_path, "wait", 7) as process:
        assert process.stdout.readline() == "waiting\n", process.stderr.read()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate("\n", timeout=60)
    assert process.returncode == 143, errors
    assert "stopped by SIGTERM" in " ".join(errors.split())
    _, result = run(tmp_path)
    # The signal came between two steps: the one that follows is finished and saved.
    assert result.resumed_from == 8
    assert_same_end(tmp_path, uninterrupted)
    steps = [line["step"] for line in log_lines(tmp_path) if "loss" in line]
    assert steps == list(range(1, 25))


def test_ctrl_c_stops_after_the_step_and_gives_the_handlers_back(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Stopped, match=r"stopped by SIGINT; .*step-000003 is saved") as stopped:
        run(tmp_path, on_step=lambda step, _: step == 2 and signal.raise_signal(signal.SIGINT))
    assert stopped.value.exit_status == stopped.value.code == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_acts_at_once(tmp_path):
    def interrupt_twice(step, _):
        signal.raise_signal(signal.SIGINT)
        # Two that come before Python looks are one to it.
        time.sleep(0.05)
        signal.raise_signal(signal.SIGINT)

    # Whoever starts the tests in the background of a shell has them ignore interrupts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, on_step=interrupt_twice)
    finally:
        signal.signal(signal.SIGINT, before)


def test_resuming_reads_the_batches_that_follow(uninterrupted, tmp_path):
    with pytest.raises(Stopped):
        run(tmp_path, on_step=lambda step, _: step == 8 and signal.raise_signal(signal.SIGTERM))
    loader = Loader()
    run(tmp_path, loader=loader)
    assert loader.asked == list(range(9 * 2, 24 * 2))
    assert_same_end(tmp_path, uninterrupted)


def test_a_finished_run_is_left_alone(uninterrupted):
    loader = Loader()
    _, result = run(uninterrupted, loader=loader)
    assert result.resumed_from == result.steps == 24 and loader.asked == []


def test_a_checkpoint_of_another_configuration_is_refused(uninterrupted):
    config = dataclasses.replace(CONFIG, learning_rate=2e-3)
    with pytest.raises(CheckpointError, match=r"training\.learning_rate was 0\.001, is 0\.002.*output_dir"):
        run(uninterrupted, config)
    with pytest.raises(CheckpointError, match=r"run\.data was None, is 'other'"):
        run(uninterrupted, settings={"data": "other"})


def test_settings_without_an_effect_on_the_weights_may_change(uninterrupted):
    _, result = run(uninterrupted, dataclasses.replace(CONFIG, log_every=7, checkpoint_every=3))
    assert result.steps == 24


def test_not_resuming_refuses_a_folder_with_checkpoints(uninterrupted):
    with pytest.raises(FileExistsError, match="already holds checkpoints: resume"):
        run(uninterrupted, resume=False)


def test_a_broken_checkpoint_is_named_with_the_way_out(tmp_path):
    run(tmp_path, dataclasses.replace(CONFIG, max_steps=2))
    file = tmp_path / "checkpoints/step-000002/optimizer.safetensors"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(CheckpointError, match=r"step-000002 cannot be read.*delete it"):
        run(tmp_path, dataclasses.replace(CONFIG, max_steps=2))


@pytest.mark.parametrize("state", ["{", "[]", '{"step": 2}'])
def test_a_checkpoint_without_its_state_is_named_with_the_way_out(tmp_path, state):
    folder = CheckpointFolder(tmp_path, {}, keep=1)
    (folder.save(Checkpoint(step=2, windows_seen=2, tensors={})) / "state.json").write_text(state)
    with pytest.raises(CheckpointError, match=r"step-000002 cannot be read.*delete it"):
        folder.newest()


def test_only_whole_checkpoints_count_and_old_ones_go(tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints", {}, keep=2)
    assert folder.newest() is None
    for step in (1, 2, 3):
        weight = torch.full((2,), float(step))
        folder.save(Checkpoint(step=step, windows_seen=step, tensors={"objective": {"weight": weight}}))
    unfinished = tmp_path / "checkpoints/.unfinished-step-000009"
    unfinished.mkdir()
    (unfinished / "objective.safetensors").write_bytes(b"half")
    assert folder.steps() == [2, 3]
    assert folder.newest().tensors["objective"]["weight"].tolist() == [3.0, 3.0]
    assert not unfinished.exists()


def test_nothing_on_disk_is_a_pickle(uninterrupted):
    kinds = {path.suffix for path in uninterrupted.rglob("*") if path.is_file() and "logs" not in path.parts}
    assert kinds == {".safetensors", ".json", ".jsonl"}


# --- the step -------------------------------------------------------------------------------------


class Breaking(Objective):
    """A loss, or a gradient, that stops being a number when the windows of position 6 come."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def forward(self, batch):
        loss, logs = super().forward(batch)
        if batch.station_id[0] == "XX.S6.0":
            # The root's value at 0 is finite, its slope is not.
            loss = loss * math.nan if self.what == "loss" else loss + (self.unused * 0).sum().sqrt()
        return loss, logs


@pytest.mark.parametrize("what", ["loss", "gradient norm"])
def test_a_loss_or_gradient_that_is_not_finite_stops_before_the_update(tmp_path, what):
    objective = Breaking(what)
    after_step: dict[int, dict] = {}

    def remember(step, _):
        after_step[step] = {name: p.detach().clone() for name, p in objective.named_parameters()}

    config = dataclasses.replace(CONFIG, checkpoint_every=2)
    with pytest.raises(
        NonFiniteError, match=rf"the {what} of step 4 is not finite.*XX\.S6\.0.*learning_rate"
    ):
        run(tmp_path, config, objective, on_step=remember)
    assert sorted(after_step) == [1, 2, 3]
    for name, parameter in objective.named_parameters():
        assert torch.equal(parameter, after_step[3][name]), name
    assert CheckpointFolder(tmp_path / "checkpoints", {}, 1).steps() == [2]


def test_accumulated_micro_batches_equal_one_batch(tmp_path):
    class Both(Loader):
        def batches(self, start):
            yield from self.pairs(start)

        def pairs(self, start):
            while True:
                first, second = self.batch(2 * start), self.batch(2 * start + 1)
                yield first.replace(
                    waveform=torch.cat([first.waveform, second.waveform]),
                    sampling_rate_hz=first.sampling_rate_hz.repeat(2),
                    unit=first.unit * 2,
                    station_id=first.station_id + second.station_id,
                )
                start += 1

    config = dataclasses.replace(CONFIG, max_steps=5, gradient_accumulation_steps=1)
    together, apart = Objective(), Objective()
    together.model[2].p = apart.model[2].p = 0.0
    run(tmp_path / "together", config, together, Both())
    run(tmp_path / "apart", dataclasses.replace(config, gradient_accumulation_steps=2), apart)
    for one, other in zip(together.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


TWO_PROCESSES = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


@pytest.mark.slow
def test_a_parameter_that_no_loss_reaches_stays_as_it_was_in_two_processes_too(tmp_path):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(
        [*TWO_PROCESSES, str(SCRIPT), str(tmp_path), "run", "0"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    weights = load_file(tmp_path / "checkpoints/step-000024/objective.safetensors")
    assert torch.equal(weights["unused"], Objective().unused)
    assert not torch.equal(weights["model.0.weight"], Objective().model[0].weight)


def test_random_numbers_follow_from_the_place_alone():
    seeds = {
        micro_batch_seed(0, step, micro, rank) for step in range(20) for micro in (0, 1) for rank in (0, 1)
    }
    assert len(seeds) == 80 and all(0 <= seed < 2**63 for seed in seeds)
    assert micro_batch_seed(0, 12, 1, 0) == micro_batch_seed(0, 12, 1, 0) != micro_batch_seed(1, 12, 1, 0)


def test_bfloat16_trains_close_to_float32_and_leaves_float32_weights(tmp_path):
    full, _ = run(tmp_path / "full", dataclasses.replace(CONFIG, ema_decay=None))
    half, _ = run(tmp_path / "half", dataclasses.replace(CONFIG, ema_decay=None, mixed_precision="bf16"))
    for one, other in zip(full.parameters(), half.parameters(), strict=True):
        assert other.dtype == torch.float32
        torch.testing.assert_close(one, other, atol=5e-3, rtol=0)
    assert any(not torch.equal(a, b) for a, b in zip(full.parameters(), half.parameters(), strict=True))
    # The objective itself stays as it was: autocast belongs to the training alone.
    assert half(Loader().batch(0))[0].dtype == torch.float32
    assert torch.is_autocast_enabled("cpu") is False


def test_gradients_are_clipped_and_reported_as_they_were(tmp_path):
    norms = []
    config = dataclasses.replace(CONFIG, max_steps=3, max_grad_norm=1e-6)
    run(tmp_path, config, on_step=lambda _, figures: norms.append(float(figures["grad_norm"])))
    assert min(norms) > 0.1


# --- validation and logs --------------------------------------------------------------------------


def test_the_best_validated_weights_are_kept(tmp_path):
    losses = iter([3.0, 1.0, 2.0])
    averages = []

    def validate(objective):
        assert not objective.training and not torch.is_grad_enabled()
        averages.append(objective.model[0].weight.detach().clone())
        return {"loss": next(losses), "f1": 0.5}

    objective, result = run(
        tmp_path, dataclasses.replace(CONFIG, max_steps=6, checkpoint_every=2), validate=validate
    )
    assert result.best.scores == {"step": 4, "loss": 1.0, "f1": 0.5} and objective.training
    result.best.copy_to(objective)
    assert torch.equal(objective.model[0].weight, averages[1])


def test_a_validation_must_give_a_finite_loss(tmp_path):
    with pytest.raises(ValueError, match="must give a finite 'loss' to choose weights by, found"):
        run(tmp_path, validate=lambda _: {"loss": math.nan})


def test_the_log_tells_loss_rate_speed_waiting_and_use_of_the_machine(uninterrupted):
    first = log_lines(uninterrupted)[0]
    assert first["step"] == 1
    assert {"loss", "learning_rate", "grad_norm", "windows_per_s", "data_wait", "amplitude"} <= first.keys()
    assert {"tflops", "peak_tflops", "mfu", "memory_gib"} <= first.keys()
    assert first["mfu"] * first["peak_tflops"] == pytest.approx(first["tflops"]) and first["tflops"] > 0
    assert 0 <= first["data_wait"] <= 1 and first["learning_rate"] == CONFIG.learning_rate_at(0)
    assert any("validation_loss" in line for line in log_lines(uninterrupted))
    assert list((uninterrupted / "logs").rglob("events.out.tfevents.*"))


def test_the_loss_of_a_fixed_problem_falls(uninterrupted):
    losses = [line["loss"] for line in log_lines(uninterrupted) if "loss" in line]
    assert sum(losses[-5:]) < sum(losses[:5])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_steps": 0}, "max_steps must be at least 1, found 0"),
        ({"keep_checkpoints": 0}, "keep_checkpoints must be at least 1"),
        ({"learning_rate": 0.0}, r"learning_rate must be positive, found 0\.0"),
        ({"learning_rate": math.nan}, "learning_rate must be positive, found nan"),
        ({"warmup_steps": -1}, "warmup_steps must not be negative"),
        ({"min_learning_rate_ratio": 1.5}, "min_learning_rate_ratio must lie in 0 to 1"),
        ({"weight_decay": -0.1}, "weight_decay must not be negative"),
        ({"betas": (0.9, 1.0)}, r"betas must lie in 0 to 1, 1 excluded, found \(0\.9, 1\.0\)"),
        ({"max_grad_norm": 0.0}, "max_grad_norm must be positive or null"),
        ({"ema_decay": 1.0}, "ema_decay must be null or lie in 0 to 1, 1 excluded"),
        ({"mixed_precision": "fp8"}, "mixed_precision must be no or bf16, found 'fp8'"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**settings)


def test_processes_that_do_not_find_each_other_are_an_error(monkeypatch):
    this_process()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(
        RuntimeError, match="2 processes were started, but this one is in a group of 1: start"
    ):
        this_process()
