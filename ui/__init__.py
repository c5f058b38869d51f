"""The frame of every page: generic views, section tabs, navigation, template tags."""
