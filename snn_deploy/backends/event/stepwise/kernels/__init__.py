"""The compiled functions: all that runs while a sample runs."""
