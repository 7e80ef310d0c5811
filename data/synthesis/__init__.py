"""Physical synthetic seismograms with complete labels."""

from .archive import SyntheticArchive, TrueEvent, synthesize_archive
from .generate import SynthesisConfig, synthesize_event, synthesize_records

__all__ = [
    "SynthesisConfig",
    "SyntheticArchive",
    "TrueEvent",
    "synthesize_archive",
    "synthesize_event",
    "synthesize_records",
]
