"""What people decide about the images of a run: a file beside the recipe, what counts of it, and what to look at next.

lines       one line of the file: who decided what about which image, when
log         reading it, and appending to it
standing    what counts of its lines, and who disagrees with whom
merge       one file out of those of two people
"""
