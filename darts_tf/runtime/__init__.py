"""The machine and the file system: devices, threads, signals, processes, atomic files.

Imports nothing of ours but `errors` and `registry`.
"""
