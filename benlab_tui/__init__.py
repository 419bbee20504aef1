"""The console and the command line of Ben Lab."""
