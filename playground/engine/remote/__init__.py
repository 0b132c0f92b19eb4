"""An engine that is a client: it passes prompts to a server that speaks OpenAI's API."""
