"""The Lab API: the experiments over HTTP, and a client for it. Import its modules; nothing is loaded here."""
