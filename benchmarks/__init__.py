"""How fast fpin is, how much memory it takes, and how that compares; `make bench` runs everything here."""
