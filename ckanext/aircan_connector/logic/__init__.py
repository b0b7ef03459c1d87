"""Doors of the extension: actions, who may call them, what they take."""
