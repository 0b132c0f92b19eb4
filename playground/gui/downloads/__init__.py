"""The downloads: queue, panel and indicator; and the log-in to the Hub."""
