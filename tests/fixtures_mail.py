"""Mail servers as fixtures."""
