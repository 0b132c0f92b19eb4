"""`playground eval`: what precisions change on one's own text."""
