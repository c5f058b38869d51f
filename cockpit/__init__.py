"""What spans the rooms: start page, health, first steps, the demo."""
