"""Training of models: batches, losses, optimisers, checkpoints, tuning.  Floor 4."""
