"""The files that a model is kept in, one file a framework: FORMATS restore a model, a program runs by itself."""
