"""Results made again, to check them: rebuild, remake one image, verify."""
