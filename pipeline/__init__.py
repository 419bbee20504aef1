"""Data, training, evaluation, export, install and chat: everything between the lab and the console."""
