"""Models known up to their volume, and ways to that volume.

quadrature.py    QuadratureDensity: any network in 1-D or 2-D, normalised on a grid
"""
