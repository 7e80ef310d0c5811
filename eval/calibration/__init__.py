"""How sure a model's answers are beside how right they are: measured, mended, shown."""
