"""The Friendli client."""
