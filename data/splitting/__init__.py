"""Which records train and which test, and what a model has seen."""
