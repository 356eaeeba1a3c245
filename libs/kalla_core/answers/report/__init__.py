"""Reports: what a run found on one page that needs nothing but a browser, and as a workbook.

money       which columns of the evidence are amounts, currencies and dates
tallies     one side's unmatched rows, counted while they are read
matches     the matches, counted while they are read
figures     all that a report shows, as plain data
gather      ... collected from evidence, in bounded memory
samples     the open rows that are shown, each with its closest candidate
page        the page: HTML with its style and a small script inside, under a strict policy
sheets      the workbook

templates/  the page as a template, its style and its script
"""
