"""The engine process, the only package that imports torch and transformers."""
