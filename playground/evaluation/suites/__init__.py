"""Suites of cases: one's own files, other tools' formats, benchmarks, and their prompts."""
