"""Models that judge pictures. One file a scorer."""
