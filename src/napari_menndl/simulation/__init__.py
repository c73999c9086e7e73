"""Simulated STEM movies of WS2 with known defects: lattice, defect dynamics, image formation, noise."""
