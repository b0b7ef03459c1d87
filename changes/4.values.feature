Null words, blanks around text, the decimal comma and the order of dates can be set for a load (`null_words`, `strip`, `decimal_comma`, `date_order`); a wrong value is named instead of being ignored.
Text files: a header of no, two or three rows (`header_rows`, also found by itself where it is beyond doubt), lines to leave out at the top and at the end (`skip_lines`, `skip_footer`), any delimiter, Excel's line `sep=;`, and blanks between delimiters and quotes.
Text that is not Unicode is read in the encoding in which its letters make sense: Cyrillic, Greek, Central European, Mac, DOS, Chinese, Japanese and Korean ones besides Windows-1252.
More reasons are told for text columns (24:00 and leap seconds, years outside 0001 to 9999, weeks, months, times alone, mixed layouts), a totals line is pointed out, and the line of a value that the database refuses is right behind rejects too.
Numbers with a decimal comma may have an exponent (`1,5e-05`, as R writes them), and `May 1 2024` is a date.
`aircan sniff` says for each thing that it found what speaks for it, takes parameters as JSON, and takes types as if a person had chosen them.
Parquet decimals without a place before the point (0.7 of type DECIMAL(1,1)) are numbers with their zero, and nested texts with the six characters \u0000 are no longer rejected.
