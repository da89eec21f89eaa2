"""The models, one file each, with the class ``MODEL``.  Floor 5."""
