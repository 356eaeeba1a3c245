"""Excel workbooks, streamed: made of Arrow columns by kernels, without a file of their own.

styles      how cells look, by number
cells       columns as the XML of cells: numbers where a double is exact, real dates, else text
sheet       one table over as many sheets as it takes, or a page of few cells
book        the ZIP file around them, written to what need not be seekable
"""
