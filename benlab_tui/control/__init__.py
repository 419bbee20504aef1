"""What the console does, apart from what it shows: chatting, commands, jobs, engines."""
