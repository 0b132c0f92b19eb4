"""Requests to the Hub: search, account, errors."""
