"""Real servers that nobody here wrote, on loopback: what this project loads has to be right for them, too.

Each holds the same records, `content.RECORDS`, and is one process of its own family:

    family            module          what it serves
    django            django_family   Django REST framework (limit-offset, page number, cursor), django-ninja,
                                      JSON:API for Django, and django-oauth-toolkit before a paged endpoint
    datasette         datasette       rows of SQLite, with next links in the body or in a header
    json-server-0.17  json_server_0   page numbers, positions, or links in a header; the total in a header
    json-server-1     json_server_1   page numbers that are clamped; the total in the body

The docstring of each module says what a declaration needs to know of it, as the tests here have seen it.
"""
