"""The page that shows a sweep: one HTML file that needs no network.

`collecting` reads what is to be shown, `encoding` makes text of it, and `writing` puts
it into the page, whose parts are the files in ``static``.
"""
