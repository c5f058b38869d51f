"""Pages of the room, one module each; ``tickets.urls`` names them all."""
