"""The page of `--format web`, which classifies photos in a phone's browser without a server."""
