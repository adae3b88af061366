"""Carts, prices, stock and parcels of a small shop."""
