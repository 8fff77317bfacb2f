"""What the machine has, which share each stage gets, and what keeps a process within its share."""

from imagepipe.resources.shares import bytes_on_their_way, resolve
from imagepipe.resources.workload import pools

__all__ = ["bytes_on_their_way", "pools", "resolve"]
