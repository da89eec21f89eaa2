"""From plays to labelled, sampled and split sessions.  Floor 1."""
