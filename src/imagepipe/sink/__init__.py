"""Everything about the folder of a run: writing it, what is done there, reading it again."""
