"""An evaluation summed up, and written for others: text, Markdown, HTML, JSON, CSV, a bundle."""
