"""What there is, who gets which share of it, and what holds a process to its own."""

from imagepipe.resources.shares import bytes_on_their_way, resolve
from imagepipe.resources.workload import pools

__all__ = ["bytes_on_their_way", "pools", "resolve"]
