"""augforge synthesizes and curates image datasets; every row knows where it came from."""

__version__ = "0.1.0"
