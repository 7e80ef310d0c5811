"""Files of waveforms with labels, picks and events, whatever format they came in."""
