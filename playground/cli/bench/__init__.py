"""`playground bench`: precisions timed against each other, and the founding comparison."""
