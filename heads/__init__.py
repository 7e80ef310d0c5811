"""Task heads and the model that carries them: features in, answers in physical terms out."""
