"""Records as columns: the form in which they load fastest."""
