"""Language models for use elsewhere: as SavedModel and TFLite, and to make text with."""
