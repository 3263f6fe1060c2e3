"""A user's data set: reading it in several formats, looking at every case, and preparing cases for the network."""
