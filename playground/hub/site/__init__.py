"""Requests to the Hub: search, account, and what can go wrong."""
