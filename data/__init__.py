"""What a waveform is and where it comes from: records, readers, windows, augmentation, synthesis."""
