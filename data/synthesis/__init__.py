"""Physical synthetic seismograms with complete labels."""

from .generate import SynthesisConfig, synthesize_event, synthesize_records

__all__ = ["SynthesisConfig", "synthesize_event", "synthesize_records"]
