"""The engine environments: their controller and their dialog."""
