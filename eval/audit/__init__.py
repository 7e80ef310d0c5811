"""What is wrong with a data set: waveforms, labels and metadata that training or scoring should not trust."""
