"""The thresholds of an audit, in seconds, decibels, kilometres and orders of magnitude."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """How far from the usual something must be to be told.

    band_hz: where earthquakes are looked for; the upper corner stays below 0.45 of the sampling rate.
    flat_s: a component that keeps one value for so long was filled in, not recorded.
    weak_ratio: a component so many times weaker than the strongest of its station is as good as dead.
    max_gap_share: of a component's samples that may be missing without a word.
    clip_samples: at the extremes, in flat tops of two or three samples or more.
    spike_ratio: height of a single sample over everything within half a second.
    onset_s: before and after an instant, whose power ratio tells an onset.
    pick_slack_s: an onset so near to a pick is the pick's own.
    weak_rise_db, clear_rise_db, unlabelled_rise_db: power ratio that a pick must have, that an onset
        elsewhere must have for the pick to be called misplaced, and for a label to be called missing.
    lasting_s: what begins must go on for so long, or it is a footstep.
    misplaced_s: a label is looked for so far from where it is.
    rise_contrast_db: by how much the onset elsewhere must surpass the pick's own.
    polarity_ratio: of the first motion to the noise before it; weaker ones are not judged.
    outside_s: an arrival may lie so far outside of a record that holds the event's other phase.
    distance_slack_km, distance_share: error of a distance that nobody should worry about.
    time_slack_s: error of a time that nobody should worry about.
    max_distance_km: travel times and amplitudes are judged up to here.
    amplitude_orders: distance in powers of ten from the attenuation relation that no station or source has.
    amplitude_sigmas, min_regression: the same in counts, in robust standard deviations of the set's own
        regression, of at least so many records.
    same_event_s, same_event_km: origins so near each other are one earthquake.
    ignore: checks that are left out. only_warn: checks whose errors become warnings.
    """

    band_hz: tuple[float, float] = (1.0, 20.0)
    flat_s: float = 0.5
    weak_ratio: float = 1000.0
    max_gap_share: float = 0.01
    clip_samples: int = 6
    spike_ratio: float = 5.0
    onset_s: tuple[float, float] = (2.0, 1.0)
    pick_slack_s: float = 0.75
    weak_rise_db: float = 5.0
    clear_rise_db: float = 10.0
    unlabelled_rise_db: float = 15.0
    rise_contrast_db: float = 8.0
    lasting_s: float = 4.0
    misplaced_s: float = 20.0
    polarity_ratio: float = 10.0
    outside_s: float = 60.0
    distance_slack_km: float = 5.0
    distance_share: float = 0.1
    time_slack_s: float = 2.0
    max_distance_km: float = 1000.0
    amplitude_orders: float = 2.0
    amplitude_sigmas: float = 3.5
    min_regression: int = 30
    same_event_s: float = 2.0
    same_event_km: float = 25.0
    ignore: tuple[str, ...] = ()
    only_warn: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.band_hz[0] < self.band_hz[1]:
            raise ValueError(f"band_hz must rise from a positive corner, found {self.band_hz}")
        if not self.clear_rise_db > self.weak_rise_db:
            raise ValueError(
                "clear_rise_db must be more than weak_rise_db, found "
                f"{self.clear_rise_db} and {self.weak_rise_db}"
            )
