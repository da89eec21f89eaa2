"""Ranks of tracks among candidates, and metrics of ranks.  Floor 3."""
