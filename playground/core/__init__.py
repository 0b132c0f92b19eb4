"""Values and pure logic that every other package builds on; no torch, no Qt."""
