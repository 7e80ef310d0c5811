"""Does a picker that learned on synthetic earthquakes find real ones? The protocol of the transfer study.

Nothing is tuned on what is reported: earthquakes and noise are split by event into a development and a test
side; thresholds come from the development side's noise alone, as the lowest that a false-alarm rate allows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ..data.formats.phasenet_npz import read_phasenet_npz
from ..data.loading.windows import WindowConfig
from ..data.records import Record, Skipped
from ..data.splitting.splits import split_by_event
from .baselines import PHASES, WindowPicker
from .leakage import leakage_report
from .model_picker import LOWEST_THRESHOLD, run_picker
from .picking_scores import PickedWindows, PickingScores, ScoreSettings, make_scores
from .quiet_noise import noise_windows, read_noise, station_hours, thresholds_for_rate, without_events
from .scored_windows import ScoredWindows, scored_windows

NOISE_SIDES = ("dev", "test", "train")


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """Real records and noise, and how they are scored.

    events: a folder in PhaseNet's npz layout with P and S. p_only: another one, where S is unknown, or None.
    noise: a folder of waveform files whose first `quiet_s` hold no earthquake that anybody knows of.
    max_noise_ratio: noise in which an STA/LTA goes so high is set aside (see `without_events`).
    windows_per_record: windows of `window_s` in which P falls anywhere, `margin_s` from the ends at least.
    dev_fraction: of the events. noise_fractions: of the noise files for thresholds (dev), for what is
        reported (test), and for training with real noise (train).
    false_picks_per_hour: what thresholds may cost, by phase.
    """

    events: str = "$SEISFM_DATA/ncedc_phasenet"
    p_only: str | None = "$SEISFM_DATA/ncedc_denoiser"
    noise: str = "$SEISFM_DATA/pfo_weak"
    quiet_s: float = 90.0
    max_noise_ratio: float = 5.0
    window_s: float = 30.0
    windows_per_record: int = 3
    margin_s: float = 1.0
    dev_fraction: float = 0.5
    noise_fractions: dict[str, float] = field(
        default_factory=lambda: {"dev": 0.5, "test": 0.25, "train": 0.25}
    )
    false_picks_per_hour: dict[str, float] = field(default_factory=lambda: {"P": 1.5, "S": 1.5})
    seed: int = 0
    scores: ScoreSettings = field(default_factory=ScoreSettings)

    def __post_init__(self) -> None:
        if not 0.0 < self.dev_fraction < 1.0:
            raise ValueError(f"dev_fraction must lie between 0 and 1, found {self.dev_fraction}")
        if set(self.noise_fractions) != set(NOISE_SIDES):
            raise ValueError(f"noise_fractions must name {NOISE_SIDES}, found {sorted(self.noise_fractions)}")
        if not set(self.false_picks_per_hour) <= set(PHASES) or not self.false_picks_per_hour:
            raise ValueError(
                f"false_picks_per_hour must name some of {PHASES}, found {sorted(self.false_picks_per_hour)}"
            )

    def windows(self) -> WindowConfig:
        """How windows lie: all of them around P."""
        return WindowConfig(window_s=self.window_s, arrival_fraction=1.0, margin_s=self.margin_s)


@dataclass(frozen=True, kw_only=True)
class TransferData:
    """The windows of a study.

    events: of each set of real records by name: dev, test, all, and all's three- and one-component stations.
    noise: dev and test, and test uncleared: with what may be earthquakes. training_noise: records that a
        picker may learn from, cleared as well.
    """

    events: dict[str, ScoredWindows]
    noise: dict[str, ScoredWindows]
    training_noise: Sequence[Record]
    skipped: tuple[Skipped, ...]


def load_transfer_data(config: TransferConfig) -> TransferData:
    """Read and split what a study is scored on. Raises FileNotFoundError where a folder does not exist."""
    records, skipped = read_phasenet_npz(_filled(config.events))
    sides = split_by_event(
        records, {"dev": config.dev_fraction, "test": 1 - config.dev_fraction}, config.seed
    )
    sets: dict[str, Sequence[Record]] = {
        **sides,
        "all": records,
        "three components": [record for record in records if len(record.component_names) == 3],
        "one component": [record for record in records if len(record.component_names) == 1],
    }
    if config.p_only is not None:
        sets["P only"], more = read_phasenet_npz(_filled(config.p_only))
        skipped = skipped + more
    noise, more = read_noise(_filled(config.noise), config.quiet_s, config.window_s)
    noise_sides = split_by_event(noise, config.noise_fractions, config.seed)
    quiet: dict[str, Sequence[Record]] = {"test uncleared": noise_sides["test"]}
    for name in ("dev", "test"):
        quiet[name] = without_events(noise_sides[name], config.max_noise_ratio, config.windows())
    return TransferData(
        events={name: _around_p(part, config) for name, part in sets.items() if len(part)},
        noise={name: noise_windows(part, config.windows()) for name, part in quiet.items()},
        training_noise=without_events(noise_sides["train"], config.max_noise_ratio, config.windows()),
        skipped=(*skipped, *more),
    )


@dataclass(frozen=True, kw_only=True)
class TransferScores:
    """What a picker reached.

    table: one row a set, phase and tolerance, as in `PickingScores.table`, with `mae_s` of the hits at the
        largest tolerance, its interval, and `arrivals`, how many there were to find.
    noise: one row a set of noise and phase: false picks in an hour, and the threshold with where it comes
        from. The development side's are those that chose it.
    """

    table: pd.DataFrame
    noise: pd.DataFrame


def score_transfer(
    picker: WindowPicker,
    data: TransferData,
    config: TransferConfig,
    thresholds: Mapping[str, float] | None = None,
) -> TransferScores:
    """Scores of all sets of earthquakes and of noise.

    thresholds: by phase; None takes those that the development side's noise allows.
    """
    if thresholds is None:
        thresholds, source = _thresholds(picker, data, config)
    else:
        source = dict.fromkeys(thresholds, "given")

    def picked(windows: ScoredWindows) -> PickedWindows:
        picks, _ = run_picker(picker, windows)
        return PickedWindows(name=picker.name, picks=picks, thresholds=thresholds, source=source)

    tables = [
        _set_table(_scores(picked(windows), windows, config)).assign(set=name)
        for name, windows in data.events.items()
    ]
    noise = [_noise_table(picked(windows), windows).assign(set=name) for name, windows in data.noise.items()]
    return TransferScores(
        table=pd.concat(tables, ignore_index=True), noise=pd.concat(noise, ignore_index=True)
    )


def _thresholds(
    picker: WindowPicker, data: TransferData, config: TransferConfig
) -> tuple[dict[str, float], dict[str, str]]:
    """The thresholds that the development side's noise allows, and by phase where each comes from."""
    quiet, _ = run_picker(picker, data.noise["dev"])
    chosen = thresholds_for_rate(
        quiet, station_hours(data.noise["dev"]), config.false_picks_per_hour, LOWEST_THRESHOLD
    )
    source = {phase: "noise" if phase in chosen else "default" for phase in picker.default_thresholds}
    return {**picker.default_thresholds, **chosen}, source


def _filled(path: str) -> Path:
    return Path(os.path.expandvars(path)).expanduser()


def _around_p(records: Sequence[Record], config: TransferConfig) -> ScoredWindows:
    return scored_windows(
        records,
        (),
        config.windows(),
        seed=config.seed,
        windows_per_record=config.windows_per_record,
        noise_windows=0,
    )


def _scores(found: PickedWindows, windows: ScoredWindows, config: TransferConfig) -> PickingScores:
    return make_scores([found], windows, config.scores, leakage_report((), ()))


def _set_table(scores: PickingScores) -> pd.DataFrame:
    """The scores of a set with the timing error of its hits; phases without a label are left out."""
    tight = scores.residuals[scores.residuals.within_s == scores.table.tolerance_s.max()]
    columns = ["phase", "arrivals", "mae_s", "mae_s_low", "mae_s_high", "mean_s"]
    joined = scores.table.merge(tight[columns], on="phase")
    return joined[joined.arrivals > 0]


def _noise_table(found: PickedWindows, windows: ScoredWindows) -> pd.DataFrame:
    """Picks in noise by phase."""
    hours = station_hours(windows)
    rows = []
    for phase, threshold in found.thresholds.items():
        count = len(found.picks.above({phase: threshold}))
        rows.append(
            {
                "picker": found.name,
                "phase": phase,
                "threshold": threshold,
                "threshold_source": found.source[phase],
                "station_hours": hours,
                "false_picks": count,
                "per_hour": count / hours,
            }
        )
    return pd.DataFrame(rows)
