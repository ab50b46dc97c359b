"""Networks that we define ourselves, for training and for use."""
