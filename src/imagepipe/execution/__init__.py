"""The life of a run: from its checks and its Ray session to its end; a sweep of them."""
