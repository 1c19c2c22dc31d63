"""The command line: commands, options, progress display; the only package that prints."""
