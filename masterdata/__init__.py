"""Company, projects, addresses, employees, roles and login."""
