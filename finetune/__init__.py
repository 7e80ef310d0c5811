"""Fine-tuning: from a pretrained encoder to a model that picks, or from one region to another."""
