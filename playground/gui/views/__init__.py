"""Widgets that draw state and emit signals; they decide nothing."""
