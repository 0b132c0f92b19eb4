"""Memory arithmetic: what a load takes, what earlier loads taught, and what is free."""
