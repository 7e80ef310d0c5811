"""The `seisfm` command: examples that can be pasted, exit statuses, one line for what a user can mend."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import obspy
import pandas as pd
import pytest
import seisfm
import typer
from seisfm.cli import app, main
from seisfm.configs.loader import CONFIG_FOLDER
from seisfm.data.formats.seisbench_format import SeisBenchDataset

SEISFM = typer.main.get_command(app)


def commands(group: object = SEISFM, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())


def example(command: object) -> str:
    return command.epilog.split("Example:")[1].strip()  # type: ignore[attr-defined]


def call(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command line."""
    with pytest.raises(SystemExit) as end:
        app(shlex.split(line), prog_name="seisfm")
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out, printed.err


@pytest.fixture(scope="module")
def model(new_model: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    new_model().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def waveforms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("waveforms") / "day.mseed"
    obspy.read().write(str(path), format="MSEED")
    return path


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_an_example(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, " ".join((*path, "--help")))
    assert status == 0
    assert example(COMMANDS[path]) in out, "the example must stand on one line, as it is pasted"
    assert "--json" in out


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_example_is_right_use(path: tuple[str, ...]) -> None:
    program, *words = shlex.split(example(COMMANDS[path]))
    assert (program, *words[: len(path)]) == ("seisfm", *path)
    # Parsing alone: unknown options and missing ones raise here, and nothing is run.
    COMMANDS[path].make_context(path[-1], words[len(path) :])  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", [("pretrain",), ("finetune",), ("eval", "run"), ("catalog",)], ids=" ".join)
def test_the_example_names_a_shipped_configuration(path: tuple[str, ...]) -> None:
    named = [word for word in shlex.split(example(COMMANDS[path])) if word.endswith(".yaml")]
    assert named
    assert all((CONFIG_FOLDER / word).is_file() for word in named)


@pytest.mark.parametrize(
    "line",
    [
        "pick",
        "pick day.mseed --model m",
        "pick day.mseed --model m --out picks.txt",
        "nonsense",
        "pretrain a.yaml --nonsense",
        "data synthesize --out x --events 0",
        "",
    ],
)
def test_wrong_use_is_status_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, line)[0] == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pick nowhere.mseed --model {model} --out {tmp}/p.csv", "no waveforms at nowhere.mseed"),
        ("pick {waveforms} --model ./nowhere --out {tmp}/p.csv", "no model at"),
        ("pretrain nowhere.yaml", "no configuration nowhere.yaml"),
        ("pretrain pretrain/tiny.yaml nonsense=1", "nonsense"),
        ("data convert nowhere --kind seisbench --out {tmp}/x", "no data at nowhere"),
        ("data convert nowhere --kind fortran --out {tmp}/x", "must be one of"),
        ("card {tmp}", "has no config.json"),
        ("card {model}", "tells no licence"),
        ("publish {tmp}/nowhere --to {tmp}/out", "no model at"),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_status_1(
    line: str, message: str, model: Path, waveforms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = call(capsys, line.format(model=model, waveforms=waveforms, tmp=tmp_path))
    assert status == 1
    assert not out
    assert err.startswith("seisfm: ")
    assert message in err
    assert err.count("\n") == 1


def test_debug_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = call(capsys, "pretrain nowhere.yaml --debug")
    assert status == 1
    assert "Traceback" in err
    assert "FileNotFoundError" in err


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xml"])
def test_pick_writes_by_suffix(
    suffix: str, model: Path, waveforms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out_file = tmp_path / f"picks{suffix}"
    line = f"pick {waveforms} --model {model} --out {out_file} --p-threshold 0.25 --s-threshold 0.25 --json"
    status, out, err = call(capsys, line)
    results = json.loads(out)
    assert (status, err) == (0, "")
    assert results["failures"] == results["skipped"] == []
    read = {
        ".csv": lambda: len(pd.read_csv(out_file)),
        ".parquet": lambda: len(pd.read_parquet(out_file)),
        ".xml": lambda: sum(len(event.picks) for event in obspy.read_events(str(out_file))),
    }
    assert read[suffix]() == results["num_picks"]
    assert results["num_picks"] == sum(sum(row.values()) for row in results["picks_per_station"].values())


def test_pick_tells_what_it_skipped(
    model: Path, waveforms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = obspy.read(str(waveforms))
    stream[2].stats.channel = "EHQ"
    stream.write(str(tmp_path / "odd.mseed"), format="MSEED")
    (tmp_path / "empty.mseed").touch()
    line = (
        f"pick {tmp_path / 'odd.mseed'} {tmp_path / 'empty.mseed'} --model {model} --out {tmp_path / 'p.csv'}"
    )
    status, out, err = call(capsys, line)
    assert status == 1
    assert "empty.mseed: the file is empty" in err
    assert "EHQ" in out
    assert (tmp_path / "p.csv").is_file()


def test_nothing_to_pick_is_a_failure(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "waveforms").mkdir()
    status, _, err = call(capsys, f"pick {tmp_path / 'waveforms'} --model {model} --out {tmp_path / 'p.csv'}")
    assert status == 1
    assert "nothing to pick: 0 traces read" in err


def test_what_is_left_out_in_part_is_told_and_no_failure(
    model: Path, waveforms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = obspy.read(str(waveforms))
    stream[2].stats.channel = "EHQ"
    stream.write(str(tmp_path / "odd.mseed"), format="MSEED")
    # No pick reaches a probability of one: a quiet recording is a result.
    line = f"pick {tmp_path / 'odd.mseed'} --model {model} --out {tmp_path / 'p.csv'}"
    status, out, err = call(capsys, f"{line} --p-threshold 1 --s-threshold 1")
    assert (status, err) == (0, "")
    assert "EHQ" in out and "0 picks" in out


def test_synthesize_convert_and_score(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, converted, scores = tmp_path / "made", tmp_path / "converted", tmp_path / "scores"
    assert call(capsys, f"data synthesize --events 2 --seed 4 --out {made}")[0] == 0
    line = f"data convert {made} --kind seisbench --format seisbench --out {converted}"
    assert call(capsys, line)[0] == 0
    first, second = SeisBenchDataset(made), SeisBenchDataset(converted)
    assert [record.record_id for record in first] == [record.record_id for record in second]
    line = f"eval picks --model {model} --data {made} --out {scores} num_resamples=20 --json"
    status, out, _ = call(capsys, line)
    assert status == 0
    assert {row["picker"] for row in json.loads(out)["table"]} >= {"model", "positional dummy"}
    assert (scores / "scores.json").is_file()
    evaluation = tmp_path / "evaluation.yaml"
    evaluation.write_text(f"test: [{{kind: seisbench, path: {made}}}]\nprotocol: {{num_resamples: 20}}")
    line = f"eval run {evaluation} model={model} output_dir={tmp_path / 'again'} --json"
    again = json.loads(call(capsys, line)[1])
    assert "model as a detector: precision" in call(capsys, line.removesuffix(" --json"))[1]
    assert again["table"] == json.loads(out)["table"]
    assert "false_alarms_per_hour" in again["detection"]["model"]


def test_an_existing_folder_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "precious").touch()
    status, _, err = call(capsys, f"data synthesize --events 1 --out {tmp_path / 'made'}")
    assert status == 1
    assert "exists already" in err


def test_card_and_publish(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"publish {model} --to {tmp_path / 'out'} --license apache-2.0 --json"
    status, out, _ = call(capsys, line)
    assert status == 0
    assert set(json.loads(out)["sha256"]) == {"README.md", "config.json", "model.safetensors"}
    status, out, _ = call(capsys, f"card {tmp_path / 'out'} --license mit")
    assert status == 0
    assert "license: mit" in (tmp_path / "out" / "README.md").read_text()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "--version")[1].strip() == f"seisfm {seisfm.__version__}"


def test_python_dash_m_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "seisfm", "pretrain"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Missing argument" in done.stderr
    assert callable(main)
