"""Simulated STEM movies of WS2 with known defects: lattice, dynamics of the defects, image formation, noise."""
