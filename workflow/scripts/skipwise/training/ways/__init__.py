"""One file per way to use skips; ``training/hooks.py`` says what it may define."""
