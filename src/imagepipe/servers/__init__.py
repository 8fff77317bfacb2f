"""Servers with OpenAI's API: address and key, the client, a test request before a run."""
