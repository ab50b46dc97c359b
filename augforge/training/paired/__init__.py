"""Training from pairs, a condition and its picture: pix2pixHD."""

from augforge.training.paired.conditions import Conditioner, Prepared
from augforge.training.paired.course import PairedCourse, paired_course
from augforge.training.paired.model import PairedModel, load_paired
from augforge.training.paired.styles import Choice, StyleCodes

__all__ = [
    "Choice",
    "Conditioner",
    "PairedCourse",
    "PairedModel",
    "Prepared",
    "StyleCodes",
    "load_paired",
    "paired_course",
]
