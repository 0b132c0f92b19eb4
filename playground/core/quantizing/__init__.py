"""What is known about a quantized copy without torch: its cost, its folder, its model card."""
