"""DARTS: estimators, trainer, whole searches, selection of the cells, early stopping.

Imports every room but `plots`, `report` and `studies`.
"""
