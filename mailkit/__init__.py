"""Mail without a framework: parsing, building, IMAP and SMTP sessions, and what the RFCs say about them."""
