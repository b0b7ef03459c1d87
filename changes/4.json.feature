JSON is read too: lists of objects or of lists, wrapped or not, JSON lines, GeoJSON, and tables that pandas or R write column by column; numbers keep every digit, nested values become JSON columns, and one bad record is one reject.
Files inside GZIP, BZIP2, XZ and ZIP are read, with limits on what they unpack to; the file in a ZIP with several can be named (`member`).
What a file is decides, not its name or declared format; a difference is a warning. Sign-in pages and error pages instead of data are told apart.
Parquet is read: decimals keep their digits, nested values become JSON columns, zones become UTC.
