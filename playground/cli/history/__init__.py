"""`playground history` and `playground report`: the runs that were kept."""
