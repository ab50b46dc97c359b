"""Networks that we define ourselves, for training and for use. All of their modules need torch."""

from augforge.optional import require

require("torch")
