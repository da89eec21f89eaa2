"""Tables, figures and their pages.  Floor 7."""
