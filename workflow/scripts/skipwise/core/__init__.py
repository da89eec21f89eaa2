"""Names, files, configuration, errors: what every room needs.  Floor 0; no torch except in
torch_setup.
"""
