"""Simulated listeners, and their plays as raw files in the official forms.  Floor 3."""
