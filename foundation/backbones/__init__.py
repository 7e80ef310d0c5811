"""Every backbone, one file each, behind one contract: waveforms in, tokens with their times out."""
