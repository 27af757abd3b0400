"""The text of the files that people send along, for models that read no files."""
