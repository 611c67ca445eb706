"""Clients in a process each, against a server that answers from memory: what a client costs by itself."""
