"""One module per command of `darts-tf`: from flags to a call of the library, and what it prints."""
