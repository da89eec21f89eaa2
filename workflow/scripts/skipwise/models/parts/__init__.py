"""What neural models share."""
