"""Servers that speak OpenAI's interface: address and key, the client, a question before a run."""
