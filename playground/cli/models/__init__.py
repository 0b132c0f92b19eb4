"""`playground models`: search, show, download and delete models."""
