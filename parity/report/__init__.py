"""What was found, as terminal text, JSON and HTML. Nothing here decides anything."""
