"""From a trained model to ranks, cosines, intervals and verdicts.  Floor 6."""
