"""Pre-trained weights in the forms that other tools read."""
