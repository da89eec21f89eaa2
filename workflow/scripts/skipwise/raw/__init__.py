"""Raw files of any form to events, one row per play.  Floor 2."""
