Null words, blanks around text, the decimal comma and the order of dates can be set for a load (`null_words`, `strip`, `decimal_comma`, `date_order`); a wrong value is named instead of being ignored.
