"""From records to batches: windows, augmentation, and the loader."""
