"""The evaluation workspace: cases, a running evaluation, its verdicts and its flips."""
