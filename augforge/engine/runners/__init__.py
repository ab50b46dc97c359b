"""One module for each kind of stage: how the engine runs it."""
