"""Jobs of many runs: baselines, tuning, comparisons, the protocol of several searches.

Imports every room but `report` and `plots`.
"""
