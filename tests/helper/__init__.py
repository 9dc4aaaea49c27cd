"""Black-box tests of the installed executable."""
