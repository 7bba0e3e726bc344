"""Photographs: street scenes as PNG and JPEG files."""
