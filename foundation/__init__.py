"""What every task shares: the input contract, the encoder, and the training loop."""
