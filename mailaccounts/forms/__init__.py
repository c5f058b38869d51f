"""Forms of an account's sections, and the checks of settings that they share."""
