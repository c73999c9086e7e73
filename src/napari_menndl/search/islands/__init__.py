"""Islands: parallel searches that share their best networks through a folder, and the merging of their runs.

A single search needs none of this.
"""
