"""Memory prediction: what a load takes, corrected by earlier loads, against what is free."""
