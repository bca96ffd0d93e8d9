"""Export of language models as SavedModel and TFLite, and generation of text with them."""
