"""All that is known of one model, read from the Hub or from its files."""
