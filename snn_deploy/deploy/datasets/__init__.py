"""Data sets in files, folders and memory, read a block of samples at a time."""
