"""Searches side by side that share their best through a folder, and their run folders joined into one.

A search by itself needs none of this.
"""
