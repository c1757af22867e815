"""The lines of code of a step of a model, in either framework, by the names of functions."""
