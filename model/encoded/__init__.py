"""Encoded images as bytes: what a JPEG, PNG or WebP file says of its cost before a pixel is decoded. Neither torch nor
numpy."""
