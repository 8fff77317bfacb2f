"""What tests share. `helpers` is found by pytest, and by every process that a test starts."""

from pathlib import Path

HELPERS = Path(__file__).parent
TESTS = HELPERS.parent
ROOT = TESTS.parent
