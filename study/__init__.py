"""Which pretraining is worth its cost: arms, seeds and numbers of labelled events under one budget."""
