"""Text-to-image experiments at scale, in one command."""

__version__ = "0.1.0"
