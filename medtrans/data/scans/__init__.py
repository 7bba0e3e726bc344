"""Scans: volumes of any format, from their files to arrays in a stated axis order, and slices of them."""
