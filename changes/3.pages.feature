The pages: every dataset has a tab Actions with its runs, and every run a page with status, progress without a reload, the
error with what to do, columns and why they have their types, refused rows and the log to download, buttons to cancel and to run
again. In English and German.
