"""The way to the database: who we are in it, and which schema we see, for each transaction anew."""
