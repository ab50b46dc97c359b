"""What leaves the house: exports, marks, cards, Croissant."""
