"""pix2pixHD: conditions, networks, styles, and the trained model."""
