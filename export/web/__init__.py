"""The page of `--format web`: a phone's browser takes a photo and classifies it by itself."""
