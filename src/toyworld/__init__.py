"""A small drawn world, animals in garments, on which the embedded models are trained and judged."""
