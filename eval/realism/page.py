"""Synthetic against real records from end to end: matched, told apart, measured, and written as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ...data.records import Record, Skipped
from ..baselines import StaLtaPicker, WindowPicker
from ..pal import PalPicker
from ..report import Report
from .excerpts import Excerpt, ExcerptConfig, cut_excerpts
from .features import feature_names, feature_table
from .figures import envelope_figure, feature_figure, spectra_figure
from .network import NetworkConfig, NetworkSeparation, separate_waveforms
from .picker_recall import recall_table
from .two_sample import Separation, TwoSampleConfig, match, separate

FEATURE_GROUPS = {"noise": ("noise_",), "P": ("p_",), "S and coda": ("s_", "coda_")}
"""Parts of a record, by how the names of their features begin."""


@dataclass(frozen=True, kw_only=True)
class RealismConfig:
    """How synthetic records are compared with real ones. network: None leaves the network out."""

    excerpt: ExcerptConfig = field(default_factory=ExcerptConfig)
    two_sample: TwoSampleConfig = field(default_factory=TwoSampleConfig)
    network: NetworkConfig | None = field(default_factory=NetworkConfig)


@dataclass(frozen=True, kw_only=True)
class Realism:
    """What was found: the excerpts compared, how they were told apart, and how well they were picked.

    groups: of `group_table`. recall: of `recall_table`.
    """

    real: tuple[Excerpt, ...]
    synthetic: tuple[Excerpt, ...]
    separation: Separation
    groups: pd.DataFrame
    network: NetworkSeparation | None
    recall: pd.DataFrame
    skipped: tuple[Skipped, ...]


def compare(
    real: Sequence[Record],
    synthetic: Sequence[Record],
    config: RealismConfig,
    pickers: Sequence[WindowPicker] = (StaLtaPicker(), PalPicker()),
) -> Realism:
    """Compare real records with the synthetic ones that were taken at like S − P and SNR.

    Raises ValueError where too few records have three components, P, S and quiet surroundings.
    """
    real_excerpts, skipped = cut_excerpts(real, config.excerpt)
    pool, unfit = cut_excerpts(synthetic, config.excerpt)
    for name, excerpts, reasons in (("real", real_excerpts, skipped), ("synthetic", pool, unfit)):
        if not excerpts:
            first = f", the first because it {reasons[0].reason}" if reasons else ""
            raise ValueError(f"no {name} record can be compared: {len(reasons)} skipped{first}")
    real_features, pool_features = feature_table(real_excerpts), feature_table(pool)
    rows = match(real_features, pool_features, config.two_sample)
    chosen, chosen_features = [pool[row] for row in rows], pool_features.iloc[rows]
    network = None
    if config.network is not None:
        network = separate_waveforms(real_excerpts, chosen, config.network, config.two_sample)
    snr_db = {
        "real": real_features["p_snr_db"].to_numpy(),
        "synthetic": chosen_features["p_snr_db"].to_numpy(),
    }
    sides = {"real": real_excerpts, "synthetic": chosen}
    return Realism(
        real=tuple(real_excerpts),
        synthetic=tuple(chosen),
        separation=separate(real_features, chosen_features, config.two_sample),
        groups=group_table(real_features, chosen_features, config.two_sample),
        network=network,
        recall=recall_table(sides, pickers, snr_db),
        skipped=(*skipped, *unfit),
    )


def summary_table(result: Realism) -> pd.DataFrame:
    """The AUC of each classifier with its 95 % interval."""
    found: dict[str, Separation | NetworkSeparation] = {"features, logistic": result.separation}
    if result.network is not None:
        found["waveforms, network"] = result.network
    return pd.DataFrame(
        [
            {
                "classifier": name,
                "AUC": one.auc,
                "low": one.low,
                "high": one.high,
                "real": len(result.real),
                "synthetic": len(result.synthetic),
            }
            for name, one in found.items()
        ]
    )


def group_table(real: pd.DataFrame, synthetic: pd.DataFrame, config: TwoSampleConfig) -> pd.DataFrame:
    """The AUC by features of one part of the record alone: which part is to be mended first.

    real, synthetic: feature tables, already matched.
    """
    rows = []
    for group, prefixes in FEATURE_GROUPS.items():
        kept = [name for name in feature_names(real) if name.startswith(prefixes)]
        columns = ["event_id", *kept]
        found = separate(real[columns], synthetic[columns], config)
        rows.append(
            {"part": group, "features": len(kept), "AUC": found.auc, "low": found.low, "high": found.high}
        )
    return pd.DataFrame(rows)


def write_page(result: Realism, path: str | Path) -> Path:
    """Write what was found as one HTML page with its numbers as JSON beside it."""
    report = Report("Synthetic records against real ones")
    report.section("Can they be told apart?")
    report.text(
        "An AUC of 0.5 means that a classifier cannot tell the two kinds apart, 1 that it always can. "
        "Cross-validated by event; every real record stands beside synthetic ones of like S − P and SNR."
    )
    report.table(summary_table(result), "Two-sample classifiers, 95 % intervals over events")
    report.table(result.groups, "By the features of one part of the record alone")
    report.section("What tells them apart")
    report.figure(
        feature_figure(result.separation.features),
        "Features that tell most by themselves, with their AUC: dots are medians, bars quartiles.",
        "Medians and quartiles of features for real and synthetic records, one row a feature",
    )
    report.table(result.separation.features, "All features, by what the classifier loses without them")
    report.section("Envelopes and spectra")
    report.figure(
        envelope_figure(result.real, result.synthetic),
        "Median envelopes and quartiles about P and S.",
        "Envelopes of real and synthetic records after P and after S",
    )
    report.figure(
        spectra_figure(result.real, result.synthetic),
        "Median spectra and quartiles of noise, P and S.",
        "Spectra of real and synthetic noise, P and S between 1 and 40 Hz",
    )
    report.section("Are they as easy to pick?")
    report.table(result.recall, "Recall of rule-based pickers by SNR")
    report.section("What was left out")
    reasons = pd.Series([item.reason.split(", has")[0] for item in result.skipped], dtype=object)
    counts = reasons.value_counts().rename_axis("reason").reset_index(name="records")
    report.table(counts, "Records that could not be compared")
    report.numbers(score=np.round(result.separation.score, 4))
    return report.write(path)
