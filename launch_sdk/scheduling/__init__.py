"""What the program of a custom scheduler imports: the class to derive, and its side of the talk with the sweep."""
