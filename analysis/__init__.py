"""Dataset in, Dataset or figure out."""
