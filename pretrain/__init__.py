"""Self-supervised pretraining: objectives whose decoders are thrown away, and the run."""
