"""The command line: commands, options, and all that is printed. Only this folder imports typer and rich."""
