"""One module per command of `darts-tf`, which calls the library and prints the result."""
