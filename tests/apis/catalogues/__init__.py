"""One file per catalogue: how a request becomes an answer.

Facts are those collected on 2026-11-26 from the projects' own sources and documentation. What is marked "assumed" was not
found there. Caps of 1,000 and more are a tenth here, so that a collection beyond its cap stays small; each is a field.
"""
