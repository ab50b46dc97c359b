"""A run in the browser, to be looked at and decided: a server on this machine alone. `serve` is the entry point."""
