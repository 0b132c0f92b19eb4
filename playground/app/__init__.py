"""The composition root: builds the application and starts Qt's event loop."""
