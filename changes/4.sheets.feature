Spreadsheets are loaded: XLSX, XLSM, XLSB, XLS and ODS, by the sheet, with their dates, hidden and merged cells, errors and formulas told, and full sheets of Excel in flat memory.
