"""Commands that find, download and delete models."""
