"""Training from pairs, a condition and its picture: pix2pixHD."""

from augforge.models.networks.paired.conditions import Conditioner, Prepared
from augforge.models.networks.paired.model import PairedModel, load_paired
from augforge.models.networks.paired.styles import Choice, StyleCodes
from augforge.training.paired.task import PairedOptions, PairedTask, paired_task

__all__ = [
    "Choice",
    "Conditioner",
    "PairedModel",
    "PairedOptions",
    "PairedTask",
    "Prepared",
    "StyleCodes",
    "load_paired",
    "paired_task",
]
