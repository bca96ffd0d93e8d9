"""The `darts-tf` program: flags in, library calls, files out."""
